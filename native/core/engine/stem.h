#pragma once

#include <ATen/core/Tensor.h>

#include "core/engine/parts.h"

namespace densenet::engine {

/// The ImageNet stem after its convolution, BN-ReLU and 3×3 max pooling of stride 2, as one step of autograd that keeps
/// nothing but its input. `statistics_of_batch`: as in training; otherwise the running ones.
at::Tensor stem_forward(const NormParts& norm, const at::Tensor& convolved, bool statistics_of_batch);

}  // namespace densenet::engine
