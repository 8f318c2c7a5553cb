#pragma once

#include <memory>
#include <string>

#include "core/engine/cuda/kernels.h"

namespace densenet::engine::cuda {

/// Runs small blocks, forward, backward and in evaluation, with these kernels and in double precision by ATen alone,
/// and says what differs by more than the type's rounding explains; empty where nothing does.
std::string find_fault(const std::shared_ptr<const Kernels>& kernels, const c10::Device& device, at::ScalarType type);

}  // namespace densenet::engine::cuda
