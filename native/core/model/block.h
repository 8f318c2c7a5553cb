#pragma once

#include <vector>

#include "core/engine/cuda/evaluation.h"
#include "core/engine/evaluation.h"
#include "core/engine/parts.h"
#include "core/model/layer.h"
#include "core/model/run_options.h"

namespace densenet {

/// A dense block (section 3, equation 2): each layer reads the block's input and the outputs of all layers before it.
/// The output is the input and every layer's output, joined: N×(C + layers·k)×H×W.
class DenseBlockImpl : public torch::nn::Module {
 public:
  DenseBlockImpl(const ModelConfig& config, std::int64_t layers, std::int64_t in_channels, const DropoutPtr& dropout);

  /// Module by module: the reference.
  at::Tensor forward(const at::Tensor& input, std::int64_t dilation = 1);

  /// As one operator together with what follows it. `training`: every batch norm takes the batch's statistics;
  /// otherwise every one takes its running ones, and there is no gradient.
  at::Tensor forward_engine(const at::Tensor& input, engine::TailParts tail, bool training, bool keep_products);

  /// The batch norms of its layers.
  [[nodiscard]] const std::vector<std::shared_ptr<torch::nn::BatchNorm2dImpl>>& norms() const { return norms_; }

  [[nodiscard]] bool drops() const { return dropout_->rate > 0.0; }

  [[nodiscard]] std::int64_t out_channels() const { return out_channels_; }

 private:
  std::vector<DenseLayer> layers_;
  std::vector<std::shared_ptr<torch::nn::BatchNorm2dImpl>> norms_;
  DropoutPtr dropout_;
  bool drop_inside_;
  engine::BlockEvaluation evaluation_;
  engine::cuda::DeviceEvaluation device_evaluation_;
  std::int64_t out_channels_;
};
TORCH_MODULE(DenseBlock);

}  // namespace densenet
