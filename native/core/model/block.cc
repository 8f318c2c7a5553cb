#include "core/model/block.h"

#include <ATen/ATen.h>

#include <string>

namespace densenet {

DenseBlockImpl::DenseBlockImpl(const ModelConfig& config, std::int64_t layers, std::int64_t in_channels,
                               const DropoutPtr& dropout)
    : out_channels_(in_channels + (layers * config.growth_rate)) {
  for (std::int64_t index = 0; index < layers; ++index) {
    const std::int64_t channels = in_channels + (index * config.growth_rate);
    layers_.emplace_back(
        register_module("denselayer" + std::to_string(index + 1), DenseLayer(config, channels, dropout)));
  }
}

at::Tensor DenseBlockImpl::forward(const at::Tensor& input) {
  std::vector<at::Tensor> joined{input};
  for (DenseLayer& layer : layers_) joined.push_back(layer->forward(at::cat(joined, 1)));
  return at::cat(joined, 1);
}

}  // namespace densenet
