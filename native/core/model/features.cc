#include "core/model/features.h"

#include <ATen/ATen.h>

#include <cstddef>

namespace densenet {

FeaturesImpl::FeaturesImpl(const ModelConfig& config, const DropoutPtr& dropout) : out_channels_(config.init_channels) {
  if (config.stem == Stem::kImageNet) {
    conv0_ = register_module(
        "conv0", torch::nn::Conv2d(
                     torch::nn::Conv2dOptions(config.in_channels, out_channels_, 7).stride(2).padding(3).bias(false)));
    norm0_ = register_module("norm0", torch::nn::BatchNorm2d(out_channels_));
  } else {
    conv0_ = register_module("conv0", same_convolution(config.in_channels, out_channels_, 3));
  }
  for (std::size_t index = 0; index < config.block_config.size(); ++index) {
    const std::string number = std::to_string(index + 1);
    blocks_.emplace_back(
        register_module("denseblock" + number, DenseBlock(config, config.block_config[index], out_channels_, dropout)));
    out_channels_ = blocks_.back()->out_channels();
    if (index + 1 == config.block_config.size()) break;
    transitions_.emplace_back(register_module("transition" + number, Transition(config, out_channels_, dropout)));
    out_channels_ = transitions_.back()->out_channels();
  }
  norm5_ = register_module("norm5", torch::nn::BatchNorm2d(out_channels_));
}

at::Tensor FeaturesImpl::stem(const at::Tensor& images, const Tap& tap) {
  at::Tensor output = conv0_->forward(images);
  if (tap) tap("conv0", output);
  if (!norm0_) return output;
  output = norm0_->forward(output);
  if (tap) tap("norm0", output);
  output = at::max_pool2d(output.relu_(), {3, 3}, {2, 2}, {1, 1});
  if (tap) tap("pool0", output);
  return output;
}

at::Tensor FeaturesImpl::forward(const at::Tensor& images, const Tap& tap) {
  at::Tensor output = stem(images, tap);
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const std::string number = std::to_string(index + 1);
    output = blocks_[index]->forward(output);
    if (tap) tap("denseblock" + number, output);
    if (index == transitions_.size()) break;
    output = transitions_[index]->forward(output);
    if (tap) tap("transition" + number, output);
  }
  output = norm5_->forward(output);
  if (tap) tap("norm5", output);
  return output;
}

}  // namespace densenet
