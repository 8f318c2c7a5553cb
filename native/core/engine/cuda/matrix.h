#pragma once

#include <ATen/core/Tensor.h>

#include "core/engine/geometry.h"

namespace densenet::engine::cuda {

/// An uninitialised matrix whose rows all begin on 16 bytes. Its memory is columns wide, rounded up.
at::Tensor make_matrix(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options);

/// N×C×H×W as pixels by channels; a copy where its memory does not already lie so.
at::Tensor to_matrix(const at::Tensor& images);

/// Pixels by channels as N×C×H×W, in the same memory.
at::Tensor to_images(const at::Tensor& matrix, const Pixels& pixels);

/// A convolution's weight in a block's type: of a 1×1 as out × in, of a 3×3 channels-last.
at::Tensor pointwise_weight(const at::Tensor& weight, at::ScalarType type);
at::Tensor spatial_weight(const at::Tensor& weight, at::ScalarType type);

/// The 1×1 convolution of pixels by channels, `weight` out × in. The result is packed.
at::Tensor pointwise(const at::Tensor& z, const Pixels& pixels, const at::Tensor& weight);

/// Its gradients, that of the weight where wanted. It uses up `z`.
struct PointwiseGradients {
  at::Tensor z;
  at::Tensor weight;
};
PointwiseGradients pointwise_backward(const at::Tensor& dy, const at::Tensor& z, const Pixels& pixels,
                                      const at::Tensor& weight, bool weight_wanted);

/// The 3×3 convolution of pixels by channels, by ATen (on CUDA, cuDNN).
at::Tensor convolve(const at::Tensor& x, const Pixels& pixels, const at::Tensor& weight);

}  // namespace densenet::engine::cuda
