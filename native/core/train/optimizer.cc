#include "core/train/optimizer.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "core/model/names.h"

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

Optimizer::Optimizer(OptimizerOptions options) : options_(std::move(options)) {
  const ParameterGroup others{
      .prefix = {}, .learning_rate = options_.learning_rate, .weight_decay = options_.weight_decay};
  options_.groups.insert(options_.groups.begin(), others);
}

std::vector<double> Optimizer::base_rates() const {
  std::vector<double> rates;
  rates.reserve(options_.groups.size());
  for (const ParameterGroup& group : options_.groups) rates.push_back(group.learning_rate);
  return rates;
}

std::size_t Optimizer::group_of(const std::string& name) const {
  std::size_t best = 0;
  for (std::size_t group = 1; group < options_.groups.size(); ++group) {
    const std::string& prefix = options_.groups[group].prefix;
    if (is_below(name, prefix) && prefix.size() >= options_.groups[best].prefix.size()) best = group;
  }
  return best;
}

void Optimizer::follow(const torch::nn::Module& module) {
  std::vector<Slot> slots;
  for (const auto& item : module.named_parameters()) {
    const at::Tensor& parameter = item.value();
    const auto known =
        std::ranges::find_if(slots_, [&](const Slot& slot) { return slot.parameter.is_same(parameter); });
    if (known != slots_.end()) {
      slots.push_back(*known);
    } else {
      slots.push_back({.parameter = parameter, .group = group_of(item.key()), .first = {}, .second = {}, .steps = {}});
    }
  }
  slots_ = std::move(slots);
}

void Optimizer::clear_gradients() {
  for (const Slot& slot : slots_) slot.parameter.mutable_grad().reset();
}

void Optimizer::step(const std::vector<double>& learning_rates) {
  const torch::NoGradGuard no_grad;
  for (std::size_t group = 0; group < options_.groups.size(); ++group) {
    // A step may be the first for some parameters (those just unfrozen) and a later one for the rest.
    std::vector<Slot*> fresh;
    std::vector<Slot*> seasoned;
    for (Slot& slot : slots_) {
      if (slot.group != group || !slot.parameter.grad().defined()) continue;
      (slot.first.defined() ? seasoned : fresh).push_back(&slot);
    }
    for (const auto& slots : {fresh, seasoned}) {
      if (!slots.empty()) step_group(slots, learning_rates.at(group), options_.groups[group].weight_decay);
    }
  }
}

void Optimizer::step_group(const std::vector<Slot*>& slots, double learning_rate, double weight_decay) const {
  if (options_.kind == OptimizerOptions::Kind::kSgd) {
    step_sgd(slots, learning_rate, weight_decay);
  } else {
    step_adam(slots, learning_rate, weight_decay);
  }
}

void Optimizer::step_sgd(const std::vector<Slot*>& slots, double learning_rate, double weight_decay) const {
  const bool first_step = !slots.front()->first.defined();
  Lists lists;
  for (Slot* slot : slots) {
    lists.parameters.push_back(slot->parameter);
    lists.gradients.push_back(slot->parameter.grad());
    if (options_.momentum == 0.0) continue;
    if (first_step) slot->first = at::empty_like(slot->parameter);  // the kernel fills it with the gradient
    lists.first.push_back(slot->first);
  }
  at::_fused_sgd_(lists.parameters, lists.gradients, lists.first, weight_decay, options_.momentum, learning_rate,
                  /*dampening=*/0.0, options_.nesterov, /*maximize=*/false, first_step && options_.momentum != 0.0);
}

void Optimizer::step_adam(const std::vector<Slot*>& slots, double learning_rate, double weight_decay) const {
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
          options_.beta1, options_.beta2, weight_decay, options_.epsilon, /*amsgrad=*/false,
          /*maximize=*/false);
  };
  if (options_.kind == OptimizerOptions::Kind::kAdam) {
    kernel([](auto&&... arguments) { at::_fused_adam_(arguments...); });
  } else {
    kernel([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
  }
}

}  // namespace densenet
