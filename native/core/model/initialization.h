#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <optional>

#include "core/model/config.h"

namespace densenet {

/// He et al. (2015): N(0, sqrt(2 / fan)), the fan being that of the output or, for torchvision's way, of the input.
void initialize_convolution(torch::nn::Conv2dImpl& convolution, Initialization way,
                            std::optional<at::Generator> generator);

/// Weights N(0, 0.01) or, for torchvision's way, uniform in ±1/sqrt(inputs); bias 0.
void initialize_linear(torch::nn::LinearImpl& linear, Initialization way, std::optional<at::Generator> generator);

}  // namespace densenet
