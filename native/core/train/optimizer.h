#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "core/train/options.h"

namespace torch::nn {
class Module;
}

namespace densenet {

/// Moves parameters against their gradients, through libtorch's fused kernels. The state of a parameter (its momentum,
/// say) begins with the first step in which it has a gradient.
class Optimizer {
 public:
  explicit Optimizer(OptimizerOptions options);

  /// Takes over a module's parameters. State follows the tensor: it is kept for those that stay, and dropped for those
  /// that are gone.
  void follow(const torch::nn::Module& module);

  /// Forgets the gradients of all parameters that are followed.
  void clear_gradients();

  /// One step over all parameters that have a gradient. `learning_rates` are those of the groups, in order, as
  /// `base_rates` gives them, after the schedule.
  void step(const std::vector<double>& learning_rates);

  /// The learning rate of each group; the first is that of parameters in no group.
  [[nodiscard]] std::vector<double> base_rates() const;

 private:
  /// What is kept for one parameter. SGD: `first` is the momentum. Adam: `first` and `second` are the running moments
  /// and `steps` counts.
  struct Slot {
    at::Tensor parameter;
    std::size_t group = 0;
    at::Tensor first;
    at::Tensor second;
    at::Tensor steps;
  };

  [[nodiscard]] std::size_t group_of(const std::string& name) const;
  void step_group(const std::vector<Slot*>& slots, double learning_rate, double weight_decay) const;
  void step_sgd(const std::vector<Slot*>& slots, double learning_rate, double weight_decay) const;
  void step_adam(const std::vector<Slot*>& slots, double learning_rate, double weight_decay) const;

  OptimizerOptions options_;  // its groups begin with the one of all other parameters
  std::vector<Slot> slots_;
};

}  // namespace densenet
