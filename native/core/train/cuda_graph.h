#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace densenet {

/// The passes of a training step as CUDA graphs: what the CPU would launch one by one, some thousand small kernels, the
/// device replays by itself. A step whose inputs have a shape that was seen a few times is recorded; from then on its
/// inputs are copied into the recorded step's own, and it is replayed. The optimizer stays outside, so a learning rate
/// is never recorded, and a loss that is not finite can still refuse the step.
class StepGraphs {
 public:
  /// The forward and backward pass: from inputs on the device to gradients, and what else shall be known of the step.
  /// It must never wait for the device, and no parameter may have a gradient when it begins.
  using Passes = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

  StepGraphs();
  ~StepGraphs();
  StepGraphs(const StepGraphs&) = delete;
  StepGraphs& operator=(const StepGraphs&) = delete;
  StepGraphs(StepGraphs&&) = delete;
  StepGraphs& operator=(StepGraphs&&) = delete;

  /// Whether steps on this device are recorded: on CUDA, where that was asked for and is built.
  static bool are_on(const c10::Device& device);

  /// Runs the passes, or replays them; the result is in memory that the next step of the same shape overwrites. `key`
  /// holds whatever decides what they do besides the inputs' shapes and which `parameters` learn: a number that the
  /// passes use as a number is recorded. `buffers` are what they change in place.
  at::Tensor run(const std::string& key, const std::vector<at::Tensor>& inputs,
                 const std::vector<at::Tensor>& parameters, const std::vector<at::Tensor>& buffers,
                 const at::Generator& generator, const Passes& passes);

 private:
  struct Recorded;
  /// What happens once a step cannot be recorded: it and all later ones run as they are.
  at::Tensor give_up(const std::exception_ptr& failure, const std::vector<at::Tensor>& inputs,
                     const std::vector<at::Tensor>& parameters, const Passes& passes);

  std::vector<std::unique_ptr<Recorded>> steps_;
  bool cannot_record_ = false;
};

}  // namespace densenet
