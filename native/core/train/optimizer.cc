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

constexpr const char* kOptimizerPrefix = "trainer.optimizer.";

/// The members of a slot with the names under which they are saved.
template <class Slot>
auto members_of(Slot& slot) {
  using Pair = std::pair<const char*, decltype(&slot.first)>;
  return std::array<Pair, 4>{Pair{"first.", &slot.first}, Pair{"second.", &slot.second}, Pair{"third.", &slot.third},
                             Pair{"steps.", &slot.steps}};
}

}  // namespace

void Optimizer::Lists::add(const Slot& slot) {
  const auto append = [](std::vector<at::Tensor>& list, const at::Tensor& tensor) {
    if (tensor.defined()) list.push_back(tensor);
  };
  parameters.push_back(slot.parameter);
  gradients.push_back(slot.parameter.grad());
  append(first, slot.first);
  append(second, slot.second);
  append(third, slot.third);
  append(steps, slot.steps);
}

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
                       .fresh = true,
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
  slot.fresh = true;
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
  // All memory is taken before anything moves: a step that fails leaves everything as it was.
  start_new();
  const std::vector<Call> calls = plan(rates);
  for (const Call& call : calls) run(call);
  for (Slot& slot : slots_) slot.fresh = slot.fresh && !slot.parameter.grad().defined();
}

void Optimizer::start_new() {
  if (options_.kind == OptimizerOptions::Kind::kSgd && options_.momentum <= 0.0) return;  // it keeps nothing
  std::vector<std::pair<Slot*, Slot>> started;
  for (Slot& slot : slots_) {
    if (slot.first.defined() || !slot.parameter.grad().defined()) continue;
    Slot one = slot;
    start(one);
    started.emplace_back(&slot, std::move(one));
  }
  for (auto& [slot, one] : started) *slot = std::move(one);
}

std::vector<Optimizer::Call> Optimizer::plan(const Rates& rates) const {
  const bool adam = options_.kind == OptimizerOptions::Kind::kAdam || options_.kind == OptimizerOptions::Kind::kAdamW;
  std::vector<Call> calls;
  for (std::size_t group = 0; group < options_.groups.size(); ++group) {
    for (const bool decays : {true, false}) {
      // A step may be the first for some parameters (those just unfrozen) and a later one for the rest.
      for (const bool fresh : {true, false}) {
        const auto alike = [&](const Slot& slot) {
          return slot.group == group && slot.decays == decays && slot.fresh == fresh && slot.parameter.grad().defined();
        };
        Call call{.learning_rate = rates.learning_rates.at(group),
                  .weight_decay = decays ? options_.groups[group].weight_decay : 0.0,
                  .momentum = rates.momentum.value_or(adam ? options_.beta1 : options_.momentum),
                  .fresh = fresh,
                  .lists = {}};
        for (const Slot& slot : slots_) {
          if (alike(slot)) call.lists.add(slot);
        }
        if (call.lists.parameters.empty()) continue;
        if (options_.kind == OptimizerOptions::Kind::kRmsProp) plan_rmsprop(call);
        calls.push_back(std::move(call));
      }
    }
  }
  return calls;
}

void Optimizer::run(const Call& call) const {
  if (options_.kind == OptimizerOptions::Kind::kSgd) {
    run_sgd(call);
  } else if (options_.kind == OptimizerOptions::Kind::kRmsProp) {
    run_rmsprop(call);
  } else {
    run_adam(call);
  }
}

void Optimizer::run_sgd(const Call& call) const {
  const Lists& lists = call.lists;
  at::_fused_sgd_(lists.parameters, lists.gradients, lists.first, call.weight_decay, call.momentum, call.learning_rate,
                  options_.dampening, options_.nesterov, /*maximize=*/false,
                  /*is_first_step=*/call.fresh && options_.momentum > 0.0);
}

void Optimizer::run_adam(const Call& call) const {
  const Lists& lists = call.lists;
  at::_foreach_add_(lists.steps, 1);
  const auto kernel = [&](auto&& fused) {
    fused(lists.parameters, lists.gradients, lists.first, lists.second, lists.third, lists.steps, call.learning_rate,
          call.momentum, options_.beta2, call.weight_decay, options_.epsilon, options_.amsgrad,
          /*maximize=*/false);
  };
  if (options_.kind == OptimizerOptions::Kind::kAdam) {
    kernel([](auto&&... arguments) { at::_fused_adam_(arguments...); });
  } else {
    kernel([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
  }
}

void Optimizer::plan_rmsprop(Call& call) {
  Lists& lists = call.lists;
  if (call.weight_decay != 0.0) {
    lists.gradients = at::_foreach_add(lists.gradients, lists.parameters, call.weight_decay);
  }
  for (const at::Tensor& squares : lists.first) lists.deviations.push_back(at::empty_like(squares));
}

void Optimizer::run_rmsprop(const Call& call) const {
  const Lists& lists = call.lists;
  at::_foreach_mul_(lists.first, options_.alpha);
  at::_foreach_addcmul_(lists.first, lists.gradients, lists.gradients, 1.0 - options_.alpha);
  at::_foreach_copy_(lists.deviations, lists.first);
  if (options_.centered) {
    at::_foreach_lerp_(lists.third, lists.gradients, 1.0 - options_.alpha);
    at::_foreach_addcmul_(lists.deviations, lists.third, lists.third, -1.0);
  }
  at::_foreach_sqrt_(lists.deviations);
  at::_foreach_add_(lists.deviations, options_.epsilon);
  if (lists.second.empty()) {
    at::_foreach_addcdiv_(lists.parameters, lists.gradients, lists.deviations, -call.learning_rate);
  } else {
    at::_foreach_mul_(lists.second, call.momentum);
    at::_foreach_addcdiv_(lists.second, lists.gradients, lists.deviations);
    at::_foreach_add_(lists.parameters, lists.second, -call.learning_rate);
  }
}

void Optimizer::save_state(TrainingState& state) const {
  for (const Slot& slot : slots_) {
    for (const auto& [part, tensor] : members_of(slot)) {
      if (tensor->defined() && !slot.fresh) state.emplace(std::string(kOptimizerPrefix) + part + slot.name, *tensor);
    }
  }
}

void Optimizer::load_state(const TrainingState& state) {
  for (Slot& slot : slots_) {
    Slot saved{.name = slot.name,
               .parameter = slot.parameter,
               .group = slot.group,
               .decays = slot.decays,
               .fresh = true,
               .first = {},
               .second = {},
               .third = {},
               .steps = {}};
    const auto members = members_of(saved);
    const auto is_saved = [&](const auto& member) {
      return state.contains(std::string(kOptimizerPrefix) + member.first + slot.name);
    };
    if (std::ranges::any_of(members, is_saved)) {
      start(saved);  // in the parameter's own memory format, which is what the fused kernels need
      for (const auto& [part, tensor] : members) {
        if (tensor->defined())
          tensor->copy_(entry_of(state, std::string(kOptimizerPrefix) + part + slot.name, tensor->sizes()));
      }
      saved.fresh = false;
    }
    slot = std::move(saved);
  }
}

}  // namespace densenet
