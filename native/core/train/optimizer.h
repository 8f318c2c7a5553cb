#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/train/options.h"

namespace densenet {

/// Moves parameters against their gradients, through libtorch's fused kernels. The state of a parameter (its momentum,
/// say) begins with the first step in which it has a gradient.
class Optimizer {
 public:
  explicit Optimizer(const OptimizerOptions& options) : options_(options) {}

  /// One step over all parameters that have a gradient. `parameters` may change between steps: state follows the
  /// tensor, and that of a parameter that is gone is dropped.
  void step(const std::vector<at::Tensor>& parameters, double learning_rate);

 private:
  /// What is kept for one parameter. SGD: `first` is the momentum. Adam: `first` and `second` are the running moments
  /// and `steps` counts.
  struct Slot {
    at::Tensor parameter;
    at::Tensor first;
    at::Tensor second;
    at::Tensor steps;
  };

  void follow(const std::vector<at::Tensor>& parameters);
  void step_sgd(const std::vector<Slot*>& slots, double learning_rate) const;
  void step_adam(const std::vector<Slot*>& slots, double learning_rate) const;

  OptimizerOptions options_;
  std::vector<Slot> slots_;
};

}  // namespace densenet
