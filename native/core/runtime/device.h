#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace densenet {

/// The device that a name means: `auto`, `cpu`, `cuda` or `cuda:N`. `auto` is CUDA where it works, otherwise the CPU.
/// Throws ERR_CUDA_UNAVAILABLE, with the reason, for a CUDA device that is not there.
c10::Device find_device(const std::string& name);

/// Memory of a device that nobody holds, in bytes; libtorch's own reserve counts as held.
std::int64_t free_device_memory(const c10::Device& device);

}  // namespace densenet
