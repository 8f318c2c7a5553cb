#include "core/train/optimizer.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <cstddef>
#include <utility>

namespace densenet {

namespace {

/// The columns of the slots, as libtorch's kernels take them.
struct Lists {
  std::vector<at::Tensor> parameters;
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> first;
  std::vector<at::Tensor> second;
  std::vector<at::Tensor> steps;
};

}  // namespace

void Optimizer::follow(const std::vector<at::Tensor>& parameters) {
  bool same = parameters.size() == slots_.size();
  for (std::size_t index = 0; same && index < slots_.size(); ++index) {
    same = slots_[index].parameter.is_same(parameters[index]);
  }
  if (same) return;
  std::vector<Slot> slots;
  slots.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters) {
    Slot slot{.parameter = parameter, .first = {}, .second = {}, .steps = {}};
    for (Slot& old : slots_) {
      if (old.parameter.is_same(parameter)) slot = std::move(old);
    }
    slots.push_back(std::move(slot));
  }
  slots_ = std::move(slots);
}

void Optimizer::step(const std::vector<at::Tensor>& parameters, double learning_rate) {
  const torch::NoGradGuard no_grad;
  follow(parameters);
  // A step may be the first for some parameters (those just unfrozen) and a later one for the rest.
  std::vector<Slot*> fresh;
  std::vector<Slot*> seasoned;
  for (Slot& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    (slot.first.defined() ? seasoned : fresh).push_back(&slot);
  }
  for (const auto& slots : {fresh, seasoned}) {
    if (slots.empty()) continue;
    if (options_.kind == OptimizerOptions::Kind::kSgd) {
      step_sgd(slots, learning_rate);
    } else {
      step_adam(slots, learning_rate);
    }
  }
}

void Optimizer::step_sgd(const std::vector<Slot*>& slots, double learning_rate) const {
  const bool first_step = !slots.front()->first.defined();
  Lists lists;
  for (Slot* slot : slots) {
    lists.parameters.push_back(slot->parameter);
    lists.gradients.push_back(slot->parameter.grad());
    if (options_.momentum == 0.0) continue;
    if (first_step) slot->first = at::empty_like(slot->parameter);  // the kernel fills it with the gradient
    lists.first.push_back(slot->first);
  }
  at::_fused_sgd_(lists.parameters, lists.gradients, lists.first, options_.weight_decay, options_.momentum,
                  learning_rate, /*dampening=*/0.0, options_.nesterov, /*maximize=*/false,
                  first_step && options_.momentum != 0.0);
}

void Optimizer::step_adam(const std::vector<Slot*>& slots, double learning_rate) const {
  Lists lists;
  for (Slot* slot : slots) {
    if (!slot->first.defined()) {
      slot->first = at::zeros_like(slot->parameter);
      slot->second = at::zeros_like(slot->parameter);
      slot->steps = at::zeros({}, slot->parameter.options().dtype(at::kFloat));
    }
    slot->steps.add_(1);
    lists.parameters.push_back(slot->parameter);
    lists.gradients.push_back(slot->parameter.grad());
    lists.first.push_back(slot->first);
    lists.second.push_back(slot->second);
    lists.steps.push_back(slot->steps);
  }
  const auto kernel = [&](auto&& fused) {
    fused(lists.parameters, lists.gradients, lists.first, lists.second, at::TensorList{}, lists.steps, learning_rate,
          options_.beta1, options_.beta2, options_.weight_decay, options_.epsilon, /*amsgrad=*/false,
          /*maximize=*/false);
  };
  if (options_.kind == OptimizerOptions::Kind::kAdam) {
    kernel([](auto&&... arguments) { at::_fused_adam_(arguments...); });
  } else {
    kernel([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
  }
}

}  // namespace densenet
