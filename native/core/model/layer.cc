#include "core/model/layer.h"

#include <ATen/ATen.h>

#include <utility>

namespace densenet {

namespace {

/// A convolution that keeps the size of the image; a 1×1 has no taps to spread.
at::Tensor convolve(torch::nn::Conv2dImpl& convolution, const at::Tensor& input, std::int64_t dilation) {
  if (dilation == 1 || convolution.weight.size(2) == 1) return convolution.forward(input);
  return at::conv2d(input, convolution.weight, {}, /*stride=*/1, /*padding=*/dilation, dilation);
}

}  // namespace

torch::nn::Conv2d same_convolution(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel) {
  const auto options = torch::nn::Conv2dOptions(in_channels, out_channels, kernel).padding(kernel / 2).bias(false);
  return torch::nn::Conv2d(options);  // NOLINT(modernize-return-braced-init-list): the constructor is explicit
}

engine::NormParts parts_of(const torch::nn::BatchNorm2dImpl& norm) {
  return {.weight = norm.weight,
          .bias = norm.bias,
          .running_mean = norm.running_mean,
          .running_variance = norm.running_var,
          .batches = norm.num_batches_tracked,
          .epsilon = norm.options.eps(),
          .momentum = norm.options.momentum().value()};
}

DenseLayerImpl::DenseLayerImpl(const ModelConfig& config, std::int64_t in_channels, DropoutPtr dropout)
    : dropout_(std::move(dropout)), drop_inside_(config.drop_placement == DropPlacement::kConvolution) {
  norm1_ = register_module("norm1", torch::nn::BatchNorm2d(in_channels));
  if (!config.bottleneck) {
    conv1_ = register_module("conv1", same_convolution(in_channels, config.growth_rate, 3));
    return;
  }
  const std::int64_t width = config.bottleneck_size * config.growth_rate;
  conv1_ = register_module("conv1", same_convolution(in_channels, width, 1));
  norm2_ = register_module("norm2", torch::nn::BatchNorm2d(width));
  conv2_ = register_module("conv2", same_convolution(width, config.growth_rate, 3));
}

at::Tensor DenseLayerImpl::forward(const at::Tensor& input, std::int64_t dilation) {
  at::Tensor output = convolve(*conv1_, norm1_->forward(input).relu_(), dilation);
  if (conv2_) {
    if (drop_inside_) output = dropout_->apply(output, is_training());
    output = convolve(*conv2_, norm2_->forward(output).relu_(), dilation);
  }
  return dropout_->apply(output, is_training());
}

engine::LayerParts DenseLayerImpl::parts() const {
  engine::LayerParts parts{.norm1 = parts_of(*norm1_), .conv1 = conv1_->weight, .norm2 = {}, .conv2 = {}};
  if (conv2_) {
    parts.norm2 = parts_of(*norm2_);
    parts.conv2 = conv2_->weight;
  }
  return parts;
}

}  // namespace densenet
