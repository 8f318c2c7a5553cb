#include "core/train/optimizer.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
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
  std::vector<at::Tensor> third;
  std::vector<at::Tensor> steps;
};

template <class Slots>
Lists columns_of(const Slots& slots) {
  Lists lists;
  const auto add = [](std::vector<at::Tensor>& list, const at::Tensor& tensor) {
    if (tensor.defined()) list.push_back(tensor);
  };
  for (const auto* slot : slots) {
    lists.parameters.push_back(slot->parameter);
    lists.gradients.push_back(slot->parameter.grad());
    add(lists.first, slot->first);
    add(lists.second, slot->second);
    add(lists.third, slot->third);
    add(lists.steps, slot->steps);
  }
  return lists;
}

constexpr const char* kPrefix = "trainer.optimizer.";

/// The members of a slot with the names under which they are saved.
template <class Slot>
auto members_of(Slot& slot) {
  using Pair = std::pair<const char*, decltype(&slot.first)>;
  return std::array<Pair, 4>{Pair{"first.", &slot.first}, Pair{"second.", &slot.second}, Pair{"third.", &slot.third},
                             Pair{"steps.", &slot.steps}};
}

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
      slots.push_back({.name = item.key(),
                       .parameter = parameter,
                       .group = group_of(item.key()),
                       .decays = options_.decay_vectors || parameter.dim() > 1,
                       .first = {},
                       .second = {},
                       .third = {},
                       .steps = {}});
    }
  }
  slots_ = std::move(slots);
}

void Optimizer::clear_gradients() {
  for (const Slot& slot : slots_) slot.parameter.mutable_grad().reset();
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> gradients;
  for (const Slot& slot : slots_) {
    if (slot.parameter.grad().defined()) gradients.push_back(slot.parameter.grad());
  }
  return gradients;
}

void Optimizer::start(Slot& slot) const {
  const auto zeros = [&] { return at::zeros_like(slot.parameter); };
  switch (options_.kind) {
    case OptimizerOptions::Kind::kSgd:
      if (options_.momentum > 0.0) slot.first = at::empty_like(slot.parameter);  // the kernel fills it
      break;
    case OptimizerOptions::Kind::kAdam:
    case OptimizerOptions::Kind::kAdamW:
      slot.first = zeros();
      slot.second = zeros();
      if (options_.amsgrad) slot.third = zeros();
      slot.steps = at::zeros({}, slot.parameter.options().dtype(at::kFloat));
      break;
    case OptimizerOptions::Kind::kRmsProp:
      slot.first = zeros();
      if (options_.momentum > 0.0) slot.second = zeros();
      if (options_.centered) slot.third = zeros();
      break;
  }
}

void Optimizer::step(const Rates& rates) {
  const torch::NoGradGuard no_grad;
  const bool adam = options_.kind == OptimizerOptions::Kind::kAdam || options_.kind == OptimizerOptions::Kind::kAdamW;
  for (std::size_t group = 0; group < options_.groups.size(); ++group) {
    Common common{.learning_rate = rates.learning_rates.at(group),
                  .weight_decay = options_.groups[group].weight_decay,
                  .momentum = rates.momentum.value_or(adam ? options_.beta1 : options_.momentum)};
    for (const bool decays : {true, false}) {
      std::vector<Slot*> slots;
      for (Slot& slot : slots_) {
        if (slot.group == group && slot.decays == decays && slot.parameter.grad().defined()) slots.push_back(&slot);
      }
      if (!decays) common.weight_decay = 0.0;
      if (!slots.empty()) step_alike(slots, common);
    }
  }
}

void Optimizer::step_alike(const std::vector<Slot*>& slots, const Common& common) const {
  if (options_.kind == OptimizerOptions::Kind::kSgd) {
    // A step may be the first for some parameters (those just unfrozen) and a later one for the rest.
    std::vector<Slot*> fresh;
    std::vector<Slot*> seasoned;
    for (Slot* slot : slots) (slot->first.defined() ? seasoned : fresh).push_back(slot);
    for (Slot* slot : fresh) start(*slot);
    if (!fresh.empty()) step_sgd(fresh, common, options_.momentum > 0.0);
    if (!seasoned.empty()) step_sgd(seasoned, common, false);
    return;
  }
  for (Slot* slot : slots) {
    if (!slot->first.defined()) start(*slot);
  }
  if (options_.kind == OptimizerOptions::Kind::kRmsProp) {
    step_rmsprop(slots, common);
  } else {
    step_adam(slots, common);
  }
}

void Optimizer::step_sgd(const std::vector<Slot*>& slots, const Common& common, bool first_step) const {
  const Lists lists = columns_of(slots);
  at::_fused_sgd_(lists.parameters, lists.gradients, lists.first, common.weight_decay, common.momentum,
                  common.learning_rate, options_.dampening, options_.nesterov, /*maximize=*/false, first_step);
}

void Optimizer::step_adam(const std::vector<Slot*>& slots, const Common& common) const {
  const Lists lists = columns_of(slots);
  at::_foreach_add_(lists.steps, 1);
  const auto kernel = [&](auto&& fused) {
    fused(lists.parameters, lists.gradients, lists.first, lists.second, lists.third, lists.steps, common.learning_rate,
          common.momentum, options_.beta2, common.weight_decay, options_.epsilon, options_.amsgrad,
          /*maximize=*/false);
  };
  if (options_.kind == OptimizerOptions::Kind::kAdam) {
    kernel([](auto&&... arguments) { at::_fused_adam_(arguments...); });
  } else {
    kernel([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
  }
}

void Optimizer::step_rmsprop(const std::vector<Slot*>& slots, const Common& common) const {
  const Lists lists = columns_of(slots);
  const auto gradients = common.weight_decay == 0.0
                             ? lists.gradients
                             : at::_foreach_add(lists.gradients, lists.parameters, common.weight_decay);
  at::_foreach_mul_(lists.first, options_.alpha);
  at::_foreach_addcmul_(lists.first, gradients, gradients, 1.0 - options_.alpha);
  std::vector<at::Tensor> deviations;
  if (options_.centered) {
    at::_foreach_lerp_(lists.third, gradients, 1.0 - options_.alpha);
    deviations = at::_foreach_addcmul(lists.first, lists.third, lists.third, -1.0);
    at::_foreach_sqrt_(deviations);
  } else {
    deviations = at::_foreach_sqrt(lists.first);
  }
  at::_foreach_add_(deviations, options_.epsilon);
  if (lists.second.empty()) {
    at::_foreach_addcdiv_(lists.parameters, gradients, deviations, -common.learning_rate);
  } else {
    at::_foreach_mul_(lists.second, common.momentum);
    at::_foreach_addcdiv_(lists.second, gradients, deviations);
    at::_foreach_add_(lists.parameters, lists.second, -common.learning_rate);
  }
}

void Optimizer::save_state(TrainingState& state) const {
  for (const Slot& slot : slots_) {
    for (const auto& [part, tensor] : members_of(slot)) {
      if (tensor->defined()) state.emplace(std::string(kPrefix) + part + slot.name, *tensor);
    }
  }
}

void Optimizer::load_state(const TrainingState& state) {
  for (Slot& slot : slots_) {
    Slot saved{.name = slot.name,
               .parameter = slot.parameter,
               .group = slot.group,
               .decays = slot.decays,
               .first = {},
               .second = {},
               .third = {},
               .steps = {}};
    const auto members = members_of(saved);
    const auto is_saved = [&](const auto& member) {
      return state.contains(std::string(kPrefix) + member.first + slot.name);
    };
    if (std::ranges::any_of(members, is_saved)) {
      start(saved);  // in the parameter's own memory format, which is what the fused kernels need
      for (const auto& [part, tensor] : members) {
        if (tensor->defined()) tensor->copy_(entry_of(state, std::string(kPrefix) + part + slot.name, tensor->sizes()));
      }
    }
    slot = std::move(saved);
  }
}

}  // namespace densenet
