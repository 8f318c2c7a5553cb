#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

namespace densenet {

/// Dropout that draws from one generator for the whole network, so that a seed decides every mask. The generator is
/// libtorch's default one until `generator` is set.
struct Dropout {
  double rate = 0.0;
  std::optional<at::Generator> generator;

  /// Sets each value to zero with probability `rate` and scales the others by 1/(1-rate); only in training.
  [[nodiscard]] at::Tensor apply(const at::Tensor& input, bool training) const;
};

/// Shared by every layer of one network.
using DropoutPtr = std::shared_ptr<Dropout>;

}  // namespace densenet
