#include "core/model/features.h"

#include <ATen/ATen.h>

#include <cstddef>

#include "core/engine/stem.h"

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

std::int64_t FeaturesImpl::pixels_left(const at::Tensor& images) const {
  const auto left = [&](std::int64_t length) {
    if (norm0_) length = (((length + 1) / 2) + 1) / 2;
    for (std::size_t transition = 0; transition < transitions_.size(); ++transition) length /= 2;
    return length;
  };
  return images.size(0) * left(images.size(2)) * left(images.size(3));
}

template <class RunBlock>
at::Tensor FeaturesImpl::run(const at::Tensor& images, const Tap& tap, const RunBlock& run_block) {
  at::Tensor output = stem(images, tap);
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const std::string number = std::to_string(index + 1);
    output = run_block(index, output);
    if (tap) tap("denseblock" + number, output);
    if (index == transitions_.size()) break;
    output = transitions_[index]->forward(output);
    if (tap) tap("transition" + number, output);
  }
  output = norm5_->forward(output);
  if (tap) tap("norm5", output);
  return output;
}

at::Tensor FeaturesImpl::forward(const at::Tensor& images, const Tap& tap) {
  return run(images, tap, [&](std::size_t index, const at::Tensor& input) { return blocks_[index]->forward(input); });
}

at::Tensor FeaturesImpl::forward_blocks(const at::Tensor& images, const Tap& tap) {
  return run(images.contiguous(at::MemoryFormat::ChannelsLast), tap, [&](std::size_t index, const at::Tensor& input) {
    return blocks_[index]->forward_engine(input, {}, false);
  });
}

at::Tensor FeaturesImpl::forward_pooled(const at::Tensor& images, bool keep_products) {
  at::Tensor output = conv0_->forward(images.contiguous(at::MemoryFormat::ChannelsLast));
  if (norm0_) output = engine::stem_forward(parts_of(*norm0_), output, is_training());
  for (std::size_t index = 0; index < transitions_.size(); ++index) {
    Transition& transition = transitions_[index];
    if (transition->drops()) {
      output = transition->forward(blocks_[index]->forward_engine(output, {}, keep_products));
    } else {
      output = blocks_[index]->forward_engine(output, transition->parts(), keep_products);
    }
  }
  const engine::TailParts tail{.kind = engine::TailKind::kGlobal, .norm = parts_of(*norm5_), .conv = {}};
  return blocks_.back()->forward_engine(output, tail, keep_products);
}

}  // namespace densenet
