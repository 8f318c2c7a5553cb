#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/model/block.h"
#include "core/model/transition.h"

namespace densenet {

/// Sees the output of a named part of the network while it runs, before anything changes it in place.
using Tap = std::function<void(const std::string& name, const at::Tensor& output)>;

/// All before the classifier: stem, blocks, transitions and the last batch norm, N×Cin×H×W to N×C×h×w.
class FeaturesImpl : public torch::nn::Module {
 public:
  FeaturesImpl(const ModelConfig& config, const DropoutPtr& dropout);

  at::Tensor forward(const at::Tensor& images, const Tap& tap = nullptr);

  [[nodiscard]] std::int64_t out_channels() const { return out_channels_; }

 private:
  at::Tensor stem(const at::Tensor& images, const Tap& tap);

  torch::nn::Conv2d conv0_{nullptr};
  torch::nn::BatchNorm2d norm0_{nullptr};  // empty in the CIFAR stem
  std::vector<DenseBlock> blocks_;
  std::vector<Transition> transitions_;    // one fewer than the blocks
  torch::nn::BatchNorm2d norm5_{nullptr};  // torchvision's name, whatever the number of blocks
  std::int64_t out_channels_;
};
TORCH_MODULE(Features);

}  // namespace densenet
