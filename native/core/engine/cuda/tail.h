#pragma once

#include "core/engine/cuda/block.h"

namespace densenet::engine::cuda {

/// The part of the operator after the block, on its whole buffer.
at::Tensor tail_forward(const Kernels& kernels, const TailParts& tail, const NormVectors& norm, const at::Tensor& x,
                        const Pixels& pixels);

/// The tail's backward pass: fills `gradient`, the block's gradient buffer, but for what batch norms subtract.
struct TailGradients {
  at::Tensor sums;    ///< of the norm; undefined for kJoin
  at::Tensor weight;  ///< of the transition's convolution, where wanted
};
TailGradients tail_backward(const DeviceTrace& trace, const at::Tensor& output_gradient, const at::Tensor& gradient);

}  // namespace densenet::engine::cuda
