#include "core/engine/cuda/matrix.h"

#include <ATen/ATen.h>

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

at::Tensor convolve(const at::Tensor& x, const Pixels& pixels, const at::Tensor& weight) {
  const at::Tensor images = to_images(x, pixels).contiguous(at::MemoryFormat::ChannelsLast);
  return to_matrix(at::convolution(images, weight, {}, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1));
}

}  // namespace densenet::engine::cuda
