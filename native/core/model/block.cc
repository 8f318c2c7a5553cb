#include "core/model/block.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "core/engine/block.h"

namespace densenet {

DenseBlockImpl::DenseBlockImpl(const ModelConfig& config, std::int64_t layers, std::int64_t in_channels,
                               const DropoutPtr& dropout)
    : dropout_(dropout),
      drop_inside_(config.drop_placement == DropPlacement::kConvolution),
      out_channels_(in_channels + (layers * config.growth_rate)) {
  for (std::int64_t index = 0; index < layers; ++index) {
    const std::int64_t channels = in_channels + (index * config.growth_rate);
    layers_.emplace_back(
        register_module("denselayer" + std::to_string(index + 1), DenseLayer(config, channels, dropout)));
  }
  for (const auto& module : modules(/*include_self=*/false)) {
    auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(module);
    if (norm) norms_.push_back(std::move(norm));
  }
}

at::Tensor DenseBlockImpl::forward(const at::Tensor& input, std::int64_t dilation) {
  std::vector<at::Tensor> joined{input};
  for (DenseLayer& layer : layers_) joined.push_back(layer->forward(at::cat(joined, 1), dilation));
  return at::cat(joined, 1);
}

at::Tensor DenseBlockImpl::forward_engine(const at::Tensor& input, engine::TailParts tail, bool training,
                                          bool keep_products) {
  engine::BlockParts parts{.layers = {}, .tail = std::move(tail), .dropout = dropout_, .drop_inside = drop_inside_};
  parts.layers.reserve(layers_.size());
  for (const DenseLayer& layer : layers_) parts.layers.push_back(layer->parts());
  if (training) return engine::block_forward(parts, input, keep_products);
  if (const auto kernels = engine::cuda::kernels_for(input.device())) {
    return device_evaluation_.run(*kernels, parts, input);
  }
  return evaluation_.run(parts, input);
}

}  // namespace densenet
