#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace densenet::engine::cuda {

/// Whether blocks of this type run as one operator on the device. So far that has to be asked for
/// (core/runtime/cuda_switches.h). On first use a small block runs both ways, and where the two differ the
/// operator stays off for that device and type, with a warning that says what differed.
bool covers(const c10::Device& device, at::ScalarType type);

/// Why blocks run module by module on CUDA, so far as it is known; empty where they need not.
std::string why_off();

}  // namespace densenet::engine::cuda
