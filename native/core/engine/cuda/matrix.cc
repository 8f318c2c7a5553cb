#include "core/engine/cuda/matrix.h"

#include <ATen/ATen.h>

#include <array>

namespace densenet::engine::cuda {

at::Tensor make_matrix(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options) {
  const std::int64_t values = 16 / static_cast<std::int64_t>(std::min<std::size_t>(options.dtype().itemsize(), 16));
  return at::empty({rows, ceil_div(columns, values) * values}, options).narrow(1, 0, columns);
}

at::Tensor to_matrix(const at::Tensor& images) {
  const at::Tensor pixels = images.permute({0, 2, 3, 1});
  if (!images.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return pixels.contiguous().view({-1, images.size(1)});
  }
  // Strides of dimensions of size 1 may be anything, so they are given anew.
  return images.as_strided({images.size(0) * images.size(2) * images.size(3), images.size(1)}, {images.size(1), 1});
}

at::Tensor to_images(const at::Tensor& matrix, const Pixels& pixels) {
  const std::int64_t ld = matrix.stride(0);
  return matrix.as_strided({pixels.images, matrix.size(1), pixels.height, pixels.width},
                           {pixels.height * pixels.width * ld, 1, pixels.width * ld, ld}, matrix.storage_offset());
}

at::Tensor pointwise_weight(const at::Tensor& weight, at::ScalarType type) {
  return weight.detach().view({weight.size(0), weight.size(1)}).to(type);
}

at::Tensor spatial_weight(const at::Tensor& weight, at::ScalarType type) {
  return weight.detach().to(type).contiguous(at::MemoryFormat::ChannelsLast);
}

namespace {

/// A 1×1 convolution is a product of matrices, and in half precision that is the faster way. In float32 it is left to
/// cuDNN: by TF32, which libtorch allows convolutions and not products, it is several times as fast, and as exact as
/// the modules.
bool is_product(const at::Tensor& z) { return !z.is_cuda() || z.scalar_type() != at::kFloat; }

at::Tensor kernel_of(const at::Tensor& weight) { return weight.view({weight.size(0), weight.size(1), 1, 1}); }

}  // namespace

at::Tensor pointwise(const at::Tensor& z, const Pixels& pixels, const at::Tensor& weight) {
  if (is_product(z)) return at::mm(z, weight.t());
  return to_matrix(
      at::convolution(to_images(z, pixels), kernel_of(weight), {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1));
}

PointwiseGradients pointwise_backward(const at::Tensor& dy, const at::Tensor& z, const Pixels& pixels,
                                      const at::Tensor& weight, bool weight_wanted) {
  if (is_product(z)) {
    PointwiseGradients found;
    if (weight_wanted) found.weight = at::mm(dy.t(), z);
    // z is not needed any longer, and as large as its gradient.
    found.z = z;
    at::mm_out(found.z, dy, weight);
    return found;
  }
  auto [dz, dw, none] = at::convolution_backward(to_images(dy, pixels), to_images(z, pixels), kernel_of(weight),
                                                 at::OptionalIntArrayRef(), {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1,
                                                 std::array<bool, 3>{true, weight_wanted, false});
  PointwiseGradients found{.z = to_matrix(dz), .weight = {}};
  if (weight_wanted) found.weight = dw.reshape_as(weight);
  return found;
}

at::Tensor convolve(const at::Tensor& x, const Pixels& pixels, const at::Tensor& weight) {
  const at::Tensor images = to_images(x, pixels).contiguous(at::MemoryFormat::ChannelsLast);
  return to_matrix(at::convolution(images, weight, {}, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1));
}

}  // namespace densenet::engine::cuda
