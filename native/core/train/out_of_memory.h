#pragma once

#include <ATen/core/Tensor.h>

#include <exception>

#include "core/model/model.h"

namespace densenet {

/// Throws ERR_OUT_OF_MEMORY where what a training step on such images keeps for its backward pass is alone more than
/// the CPU has. A system that promises more memory than it has would kill the process in the middle of the step.
void refuse_beyond_memory(const Model& model, at::IntArrayRef images);

/// Whether an exception says that the CPU's memory ran out.
bool is_out_of_memory(const std::exception_ptr& exception);

/// Throws the exception on, or, where it says that the CPU's memory ran out, ERR_OUT_OF_MEMORY with the batch of such
/// images that would fit.
[[noreturn]] void rethrow_with_advice(const std::exception_ptr& exception, const Model& model, at::IntArrayRef images);

}  // namespace densenet
