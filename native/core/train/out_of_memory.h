#pragma once

#include <ATen/core/Tensor.h>

#include <exception>

#include "core/model/model.h"

namespace densenet {

/// Throws the exception on, or, where it says that the CPU's memory ran out, ERR_OUT_OF_MEMORY with the batch of such
/// images that would fit.
[[noreturn]] void rethrow_with_advice(const std::exception_ptr& exception, const Model& model, at::IntArrayRef images);

}  // namespace densenet
