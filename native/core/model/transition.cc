#include "core/model/transition.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace densenet {

TransitionImpl::TransitionImpl(const ModelConfig& config, std::int64_t in_channels, DropoutPtr dropout)
    : dropout_(std::move(dropout)),
      drop_(config.drop_placement == DropPlacement::kConvolution),
      out_channels_(static_cast<std::int64_t>(std::floor(static_cast<double>(in_channels) * config.compression))) {
  norm_ = register_module("norm", torch::nn::BatchNorm2d(in_channels));
  conv_ = register_module("conv", same_convolution(in_channels, out_channels_, 1));
}

at::Tensor TransitionImpl::forward(const at::Tensor& input, bool pool) {
  at::Tensor output = conv_->forward(norm_->forward(input).relu_());
  if (drop_) output = dropout_->apply(output, is_training());
  return pool ? at::avg_pool2d(output, {2, 2}, {2, 2}) : output;
}

engine::TailParts TransitionImpl::parts() const {
  return {.kind = engine::TailKind::kTransition, .norm = parts_of(*norm_), .conv = conv_->weight};
}

}  // namespace densenet
