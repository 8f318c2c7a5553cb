#include "core/engine/cuda/evaluation.h"

#include <ATen/ATen.h>

#include "core/engine/cuda/autocast.h"
#include "core/engine/cuda/matrix.h"
#include "core/engine/cuda/tail.h"

namespace densenet::engine::cuda {

namespace {

NormVectors vectors_of(const NormParts& norm, at::ScalarType type) {
  const auto [scale, shift] = scale_and_shift(norm);
  return {.scale = scale.to(type), .shift = shift.to(type)};
}

}  // namespace

void DeviceEvaluation::prepare(const BlockParts& parts, at::ScalarType type) {
  Versions versions = versions_of(parts);
  if (versions == made_from_ && type == type_) return;
  const at::ScalarType vectors = vector_type(type);
  layers_.clear();
  for (const LayerParts& layer : parts.layers) {
    Layer made{.norm1 = vectors_of(layer.norm1, vectors), .conv1 = {}, .bias = {}, .conv2 = {}};
    if (layer.bottleneck()) {
      const auto [scale, shift] = scale_and_shift(layer.norm2);
      const at::Tensor weight = pointwise_weight(layer.conv1, at::kDouble);
      made.conv1 = weight.mul(scale.unsqueeze(1)).to(type);
      made.bias = shift.to(vectors);
      made.conv2 = spatial_weight(layer.conv2, type);
    } else {
      made.conv2 = spatial_weight(layer.conv1, type);
    }
    layers_.push_back(std::move(made));
  }
  if (parts.tail.kind != TailKind::kJoin) tail_ = vectors_of(parts.tail.norm, vectors);
  type_ = type;
  made_from_ = std::move(versions);
}

at::Tensor DeviceEvaluation::run(const Kernels& kernels, const BlockParts& parts, const at::Tensor& given) {
  const at::Tensor input = given.to(block_type(given));
  const NoAutocast no_autocast;
  prepare(parts, input.scalar_type());
  const Pixels pixels{.images = input.size(0), .height = input.size(2), .width = input.size(3)};
  std::int64_t channels = input.size(1);
  std::int64_t all = channels;
  for (const Layer& layer : layers_) all += layer.conv2.size(0);
  const at::Tensor x = make_matrix(pixels.count(), all, input.options());
  x.narrow(1, 0, channels).copy_(to_matrix(input));
  for (const Layer& layer : layers_) {
    const at::Tensor read = x.narrow(1, 0, channels);
    at::Tensor z = make_matrix(pixels.count(), channels, input.options());
    kernels.norm_relu(read, layer.norm1, z);
    if (layer.conv1.defined()) z = pointwise(z, pixels, layer.conv1).add_(layer.bias).relu_();
    const std::int64_t growth = layer.conv2.size(0);
    x.narrow(1, channels, growth).copy_(convolve(z, pixels, layer.conv2));
    channels += growth;
  }
  return tail_forward(kernels, parts.tail, tail_, x, pixels);
}

}  // namespace densenet::engine::cuda
