#include "core/model/features.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/engine/stem.h"

namespace densenet {

namespace {

/// How a block and what follows it can be run.
enum class BlockWay : std::uint8_t {
  kTraining,    ///< on the engine, by the batch's statistics
  kEvaluation,  ///< on the engine, by the running statistics, without gradients
  kModules,     ///< module by module: where some batch norms are frozen and others, or the block's input, still learn
};

bool learns(const at::Tensor& tensor) { return tensor.requires_grad(); }

BlockWay way_of(const DenseBlockImpl& block, const torch::nn::BatchNorm2dImpl& after,
                const std::vector<at::Tensor>& after_parameters, bool input_learns) {
  const auto& norms = block.norms();
  const auto trains = [](const auto& norm) { return norm->is_training(); };
  if (after.is_training() && std::ranges::all_of(norms, trains)) return BlockWay::kTraining;
  if (after.is_training() || std::ranges::any_of(norms, trains)) return BlockWay::kModules;
  const bool gradients =
      at::GradMode::is_enabled() && (input_learns || std::ranges::any_of(block.parameters(), learns) ||
                                     std::ranges::any_of(after_parameters, learns));
  const bool drops = block.is_training() && block.drops();
  return gradients || drops ? BlockWay::kModules : BlockWay::kEvaluation;
}

}  // namespace

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
  output.relu_();
  if (tap) tap("relu0", output);
  output = at::max_pool2d(output, {3, 3}, {2, 2}, {1, 1});
  if (tap) tap("pool0", output);
  return output;
}

std::int64_t FeaturesImpl::pixels_left(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  const auto left = [&](std::int64_t length) {
    if (norm0_) length = (((length + 1) / 2) + 1) / 2;
    for (std::size_t transition = 0; transition < transitions_.size(); ++transition) length /= 2;
    return length;
  };
  return batch * left(height) * left(width);
}

template <class RunBlock, class RunTransition>
at::Tensor FeaturesImpl::run(const at::Tensor& images, const Tap& tap, const RunBlock& run_block,
                             const RunTransition& run_transition) {
  at::Tensor output = stem(images, tap);
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const std::string number = std::to_string(index + 1);
    output = run_block(index, output);
    if (tap) tap("denseblock" + number, output);
    if (index == transitions_.size()) break;
    output = run_transition(index, output);
    if (tap) tap("transition" + number, output);
  }
  output = norm5_->forward(output);
  if (tap) {
    tap("norm5", output);
    tap("relu5", output.relu());
  }
  return output;
}

at::Tensor FeaturesImpl::forward(const at::Tensor& images, const Tap& tap) {
  return run(
      images, tap, [&](std::size_t index, const at::Tensor& input) { return blocks_[index]->forward(input); },
      [&](std::size_t index, const at::Tensor& input) { return transitions_[index]->forward(input); });
}

at::Tensor FeaturesImpl::forward_dilated(const at::Tensor& images, const Tap& tap, std::int64_t output_stride) {
  std::int64_t stride = norm0_ ? 4 : 1;
  std::int64_t dilation = 1;
  return run(
      images, tap, [&](std::size_t index, const at::Tensor& input) { return blocks_[index]->forward(input, dilation); },
      [&](std::size_t index, const at::Tensor& input) {
        const bool pool = stride < output_stride;
        (pool ? stride : dilation) *= 2;
        return transitions_[index]->forward(input, pool);
      });
}

at::Tensor FeaturesImpl::forward_blocks(const at::Tensor& images, const Tap& tap) {
  return run(
      images.contiguous(at::MemoryFormat::ChannelsLast), tap,
      [&](std::size_t index, const at::Tensor& input) {
        return blocks_[index]->forward_engine(input, {}, /*training=*/false, /*keep_products=*/false);
      },
      [&](std::size_t index, const at::Tensor& input) { return transitions_[index]->forward(input); });
}

bool FeaturesImpl::stem_is_mixed(bool input_learns) const {
  const bool gradients = input_learns || learns(norm0_->weight) || learns(norm0_->bias);
  return !norm0_->is_training() && gradients && at::GradMode::is_enabled();
}

at::Tensor FeaturesImpl::normalize_and_pool(const at::Tensor& convolved) {
  // The engine's step is on the CPU only.
  if (!convolved.is_cpu() || stem_is_mixed(learns(convolved))) {
    return at::max_pool2d(norm0_->forward(convolved).relu_(), {3, 3}, {2, 2}, {1, 1});
  }
  return engine::stem_forward(parts_of(*norm0_), convolved, norm0_->is_training());
}

std::vector<FeaturesImpl::PartWay> FeaturesImpl::training_ways() const {
  bool flows = learns(conv0_->weight);
  std::vector<PartWay> ways{{.run = PartRun::kOperator, .learns = flows}};
  const auto either = [](bool engine) { return engine ? PartRun::kEngine : PartRun::kFrozenMix; };
  if (norm0_) {
    const bool mixed = stem_is_mixed(flows);
    flows = flows || std::ranges::any_of(norm0_->parameters(), learns);
    const PartRun run = conv0_->weight.is_cpu() ? either(!mixed) : PartRun::kDevice;
    ways.insert(ways.end(), 2, {.run = run, .learns = flows});
  }
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const bool last = index == transitions_.size();
    const DenseBlockImpl& block = *blocks_[index];
    const torch::nn::BatchNorm2dImpl& after = last ? *norm5_ : transitions_[index]->norm();
    const std::vector<at::Tensor> parameters = last ? norm5_->parameters() : transitions_[index]->parameters();
    const PartRun run = either(way_of(block, after, parameters, flows) != BlockWay::kModules);
    flows = flows || std::ranges::any_of(block.parameters(), learns);
    ways.push_back({.run = run, .learns = flows});
    flows = flows || std::ranges::any_of(parameters, learns);
    const bool drops = !last && transitions_[index]->drops();
    ways.push_back({.run = run == PartRun::kEngine && drops ? PartRun::kDropout : run, .learns = flows});
  }
  return ways;
}

at::Tensor FeaturesImpl::forward_pooled(const at::Tensor& images, bool keep_products) {
  at::Tensor output = conv0_->forward(images.contiguous(at::MemoryFormat::ChannelsLast));
  if (norm0_) output = normalize_and_pool(output);
  for (std::size_t index = 0; index < transitions_.size(); ++index) {
    DenseBlock& block = blocks_[index];
    Transition& transition = transitions_[index];
    const BlockWay way = way_of(*block, transition->norm(), transition->parameters(), learns(output));
    if (way == BlockWay::kModules) {
      output = transition->forward(block->forward(output));
    } else if (transition->drops()) {
      output = transition->forward(block->forward_engine(output, {}, way == BlockWay::kTraining, keep_products));
    } else {
      output = block->forward_engine(output, transition->parts(), way == BlockWay::kTraining, keep_products);
    }
  }
  DenseBlock& block = blocks_.back();
  const BlockWay way = way_of(*block, *norm5_, norm5_->parameters(), learns(output));
  if (way == BlockWay::kModules) {
    return at::adaptive_avg_pool2d(norm5_->forward(block->forward(output)).relu_(), {1, 1}).flatten(1);
  }
  const engine::TailParts tail{.kind = engine::TailKind::kGlobal, .norm = parts_of(*norm5_), .conv = {}};
  return block->forward_engine(output, tail, way == BlockWay::kTraining, keep_products);
}

}  // namespace densenet
