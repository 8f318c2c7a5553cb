#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/engine/geometry.h"

namespace densenet::engine {

/// Weights in the order in which the kernels read them: panels of columns, padded with zeros (see kPanel). `weight` is
/// a convolution's, out × in × kernel height × kernel width; `scale`, where given, multiplies each output channel.

/// For a forward product: the columns are the output channels; the depth is kernel position, then input channel.
template <class T>
at::Tensor pack_forward(const at::Tensor& weight, const std::vector<double>* scale = nullptr);

/// For the product that gives the input's gradient: the columns are the input channels; the depth is kernel position,
/// turned by 180°, then output channel.
template <class T>
at::Tensor pack_backward(const at::Tensor& weight);

/// The same two for a 3×3 convolution of images of this size: as they are, or as Winograd's algorithm wants them,
/// [panel][frequency][depth][kPanel] (see `winograd_pays`).
template <class T>
at::Tensor pack_spatial_forward(const at::Tensor& weight, const Pixels& pixels);
template <class T>
at::Tensor pack_spatial_backward(const at::Tensor& weight, const Pixels& pixels);

/// Adds up the chunks of a weight's gradient, [chunk][panel][position][out][kPanel], into the weight's own order.
template <class T>
at::Tensor sum_weight_gradient(const at::Tensor& chunks, const at::Tensor& weight);

/// Elements of one chunk.
std::int64_t weight_gradient_size(const at::Tensor& weight);

}  // namespace densenet::engine
