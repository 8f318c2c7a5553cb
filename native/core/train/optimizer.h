#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/train/options.h"
#include "core/train/training_state.h"

namespace torch::nn {
class Module;
}

namespace densenet {

/// How far a step goes.
struct Rates {
  std::vector<double> learning_rates;  ///< of the groups, in order
  std::optional<double> momentum;      ///< SGD's and RMSprop's momentum, or Adam's first beta; empty for the option's
};

/// Moves parameters against their gradients, through libtorch's fused and foreach kernels. The state of a parameter
/// (its momentum, say) begins with the first step in which it has a gradient.
class Optimizer {
 public:
  explicit Optimizer(OptimizerOptions options);

  /// Takes over a module's parameters. State follows the tensor: it is kept for those that stay, and dropped for those
  /// that are gone.
  void follow(const torch::nn::Module& module);

  /// Forgets the gradients of all parameters that are followed.
  void clear_gradients();

  /// Those that there are.
  [[nodiscard]] std::vector<at::Tensor> gradients() const;

  /// One step over all parameters that have a gradient.
  void step(const Rates& rates);

  /// The learning rate of each group, before any schedule; the first is that of parameters in no group.
  [[nodiscard]] std::vector<double> base_rates() const;

  void save_state(TrainingState& state) const;
  void load_state(const TrainingState& state);

 private:
  /// What is kept for one parameter.
  struct Slot {
    std::string name;
    at::Tensor parameter;
    std::size_t group = 0;
    bool decays = true;
    at::Tensor first;   // SGD: momentum. Adam: mean of gradients. RMSprop: mean of squares
    at::Tensor second;  // Adam: mean of squares. RMSprop: momentum
    at::Tensor third;   // Adam: largest mean of squares (amsgrad). RMSprop: mean of gradients (centered)
    at::Tensor steps;   // Adam: how many, a float32 scalar
  };
  /// What the slots of one kernel call have in common.
  struct Common {
    double learning_rate;
    double weight_decay;
    double momentum;
  };

  [[nodiscard]] std::size_t group_of(const std::string& name) const;
  void start(Slot& slot) const;
  void step_alike(const std::vector<Slot*>& slots, const Common& common) const;
  void step_sgd(const std::vector<Slot*>& slots, const Common& common, bool first_step) const;
  void step_adam(const std::vector<Slot*>& slots, const Common& common) const;
  void step_rmsprop(const std::vector<Slot*>& slots, const Common& common) const;

  OptimizerOptions options_;  // its groups begin with the one of all other parameters
  std::vector<Slot> slots_;
};

}  // namespace densenet
