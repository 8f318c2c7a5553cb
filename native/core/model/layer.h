#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include "core/engine/parts.h"
#include "core/model/config.h"
#include "core/model/dropout.h"

namespace densenet {

/// A convolution without a bias, of stride 1, that keeps the size of the image.
torch::nn::Conv2d same_convolution(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel);

/// A batch norm's tensors, for the engine.
engine::NormParts parts_of(const torch::nn::BatchNorm2dImpl& norm);

/// A layer H_l of a dense block (sections 3 and 4): BN-ReLU-conv1×1-BN-ReLU-conv3×3, or BN-ReLU-conv3×3 without the
/// bottleneck. Takes N×C×H×W and gives the N×k×H×W that the block joins to it.
class DenseLayerImpl : public torch::nn::Module {
 public:
  DenseLayerImpl(const ModelConfig& config, std::int64_t in_channels, DropoutPtr dropout);

  /// `dilation` spreads the taps of the 3×3 convolution, see FeaturesImpl::forward_dilated.
  at::Tensor forward(const at::Tensor& input, std::int64_t dilation = 1);

  /// Its tensors, for the engine.
  [[nodiscard]] engine::LayerParts parts() const;

 private:
  torch::nn::BatchNorm2d norm1_{nullptr};
  torch::nn::Conv2d conv1_{nullptr};
  torch::nn::BatchNorm2d norm2_{nullptr};  // empty without the bottleneck, like conv2
  torch::nn::Conv2d conv2_{nullptr};
  DropoutPtr dropout_;
  bool drop_inside_;  // dropout after the 1×1 convolution too
};
TORCH_MODULE(DenseLayer);

}  // namespace densenet
