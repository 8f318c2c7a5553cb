#include "core/model/initialization.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <cmath>
#include <utility>

namespace densenet {

void initialize_convolution(torch::nn::Conv2dImpl& convolution, Initialization way,
                            std::optional<at::Generator> generator) {
  const torch::NoGradGuard no_grad;
  at::Tensor const& weight = convolution.weight;  // out × in × height × width
  const std::int64_t area = weight.size(2) * weight.size(3);
  const std::int64_t fan = area * (way == Initialization::kFanOut ? weight.size(0) : weight.size(1));
  weight.normal_(0.0, std::sqrt(2.0 / static_cast<double>(fan)), std::move(generator));
}

void initialize_linear(torch::nn::LinearImpl& linear, Initialization way, std::optional<at::Generator> generator) {
  const torch::NoGradGuard no_grad;
  if (way == Initialization::kFanOut) {
    linear.weight.normal_(0.0, 0.01, std::move(generator));
  } else {
    const double bound = 1.0 / std::sqrt(static_cast<double>(linear.weight.size(1)));
    linear.weight.uniform_(-bound, bound, std::move(generator));
  }
  linear.bias.zero_();
}

}  // namespace densenet
