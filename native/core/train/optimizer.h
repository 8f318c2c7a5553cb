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

  /// One step over all parameters that have a gradient. A step that fails for want of memory moves none.
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
    bool fresh = true;  // whether it has taken no step yet; what it holds until then means nothing
    at::Tensor first;   // SGD: momentum. Adam: mean of gradients. RMSprop: mean of squares
    at::Tensor second;  // Adam: mean of squares. RMSprop: momentum
    at::Tensor third;   // Adam: largest mean of squares (amsgrad). RMSprop: mean of gradients (centered)
    at::Tensor steps;   // Adam: how many, a float32 scalar
  };
  /// The columns of some slots, as libtorch's kernels take them, and the memory that a kernel needs besides.
  struct Lists {
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> gradients;
    std::vector<at::Tensor> first;
    std::vector<at::Tensor> second;
    std::vector<at::Tensor> third;
    std::vector<at::Tensor> steps;
    std::vector<at::Tensor> deviations;  // RMSprop

    void add(const Slot& slot);
  };
  /// One call of a kernel: slots that have everything in common.
  struct Call {
    double learning_rate;
    double weight_decay;
    double momentum;
    bool fresh;
    Lists lists;
  };

  [[nodiscard]] std::size_t group_of(const std::string& name) const;
  void start(Slot& slot) const;
  /// Starts those that have a gradient for the first time: all or none.
  void start_new();
  /// The calls of a step, with all memory that they take.
  [[nodiscard]] std::vector<Call> plan(const Rates& rates) const;
  static void plan_rmsprop(Call& call);
  void run(const Call& call) const;
  void run_sgd(const Call& call) const;
  void run_adam(const Call& call) const;
  void run_rmsprop(const Call& call) const;

  OptimizerOptions options_;  // its groups begin with the one of all other parameters
  std::vector<Slot> slots_;
};

}  // namespace densenet
