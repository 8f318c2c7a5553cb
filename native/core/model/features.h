#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/model/block.h"
#include "core/model/step_plan.h"
#include "core/model/transition.h"

namespace densenet {

/// Sees the output of a named part of the network while it runs, before anything changes it in place.
using Tap = std::function<void(const std::string& name, const at::Tensor& output)>;

/// All before the classifier: stem, blocks, transitions and the last batch norm, N×Cin×H×W to N×C×h×w.
class FeaturesImpl : public torch::nn::Module {
 public:
  FeaturesImpl(const ModelConfig& config, const DropoutPtr& dropout);

  /// Module by module.
  at::Tensor forward(const at::Tensor& images, const Tap& tap = nullptr);

  /// On the engine, up to the average over all pixels: N×C.
  at::Tensor forward_pooled(const at::Tensor& images, bool keep_products);

  /// Module by module, with finer feature maps: where the stride would grow past `output_stride` a transition does not
  /// pool, and the 3×3 convolutions after it are dilated, so that every layer still sees what it saw (Chen et al.,
  /// "Rethinking Atrous Convolution", 2017, section 3.1).
  at::Tensor forward_dilated(const at::Tensor& images, const Tap& tap, std::int64_t output_stride);

  /// As `forward`, the blocks on the engine.
  at::Tensor forward_blocks(const at::Tensor& images, const Tap& tap);

  /// What computes each part in a training step, where the engine may, in the modes that the batch norms are in; and
  /// whether a gradient passes through it. In the order of `part_names`, without the classifier.
  struct PartWay {
    PartRun run;
    bool learns;
  };
  [[nodiscard]] std::vector<PartWay> training_ways() const;

  /// Pixels of the whole batch in the last feature map. A batch norm cannot be trained on a single one.
  [[nodiscard]] std::int64_t pixels_left(std::int64_t batch, std::int64_t height, std::int64_t width) const;

  [[nodiscard]] std::int64_t out_channels() const { return out_channels_; }

 private:
  /// `run_block(index, input)` gives the output of a block, `run_transition` that of what follows it.
  template <class RunBlock, class RunTransition>
  at::Tensor run(const at::Tensor& images, const Tap& tap, const RunBlock& run_block,
                 const RunTransition& run_transition);

  at::Tensor stem(const at::Tensor& images, const Tap& tap);

  /// Whether norm0 keeps its running statistics while a gradient passes through it, which the engine has no step for.
  [[nodiscard]] bool stem_is_mixed(bool input_learns) const;

  /// The rest of the ImageNet stem on the engine: norm0, ReLU and pooling.
  at::Tensor normalize_and_pool(const at::Tensor& convolved);

  torch::nn::Conv2d conv0_{nullptr};
  torch::nn::BatchNorm2d norm0_{nullptr};  // empty in the CIFAR stem
  std::vector<DenseBlock> blocks_;
  std::vector<Transition> transitions_;    // one fewer than the blocks
  torch::nn::BatchNorm2d norm5_{nullptr};  // torchvision's name, whatever the number of blocks
  std::int64_t out_channels_;
};
TORCH_MODULE(Features);

}  // namespace densenet
