#pragma once

#include "core/model/layer.h"

namespace densenet {

/// What stands between two blocks (section 3): BN-ReLU-conv1×1 to ⌊θ·C⌋ channels, then 2×2 average pooling.
class TransitionImpl : public torch::nn::Module {
 public:
  TransitionImpl(const ModelConfig& config, std::int64_t in_channels, DropoutPtr dropout);

  /// Without the pooling where `pool` is false.
  at::Tensor forward(const at::Tensor& input, bool pool = true);

  /// Its tensors, for the engine.
  [[nodiscard]] engine::TailParts parts() const;

  [[nodiscard]] const torch::nn::BatchNorm2dImpl& norm() const { return *norm_; }

  /// Whether dropout stands between its convolution and its pooling, which then cannot change places.
  [[nodiscard]] bool drops() const { return drop_ && dropout_->rate > 0.0 && is_training(); }

  [[nodiscard]] std::int64_t out_channels() const { return out_channels_; }

 private:
  torch::nn::BatchNorm2d norm_{nullptr};
  torch::nn::Conv2d conv_{nullptr};
  DropoutPtr dropout_;
  bool drop_;
  std::int64_t out_channels_;
};
TORCH_MODULE(Transition);

}  // namespace densenet
