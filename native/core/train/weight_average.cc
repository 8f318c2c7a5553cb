#include "core/train/weight_average.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <cstddef>
#include <utility>

namespace densenet {

namespace {

constexpr const char* kAveragePrefix = "trainer.average.";

bool same_shapes(const std::vector<StateEntry>& a, const std::vector<StateEntry>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t index = 0; index < a.size(); ++index) {
    if (a[index].name != b[index].name || a[index].tensor.sizes() != b[index].tensor.sizes()) return false;
  }
  return true;
}

}  // namespace

void WeightAverage::reserve(const NetworkImpl& network) {
  const torch::NoGradGuard no_grad;
  const std::vector<StateEntry> now = state_of(network);
  if (same_shapes(entries_, now) || same_shapes(reserved_, now)) return;
  std::vector<StateEntry> reserved;
  reserved.reserve(now.size());
  for (const StateEntry& entry : now) {
    reserved.push_back(
        {.name = entry.name, .tensor = at::empty_like(entry.tensor.detach()), .is_parameter = entry.is_parameter});
  }
  reserved_ = std::move(reserved);
}

void WeightAverage::update(const NetworkImpl& network) {
  const torch::NoGradGuard no_grad;
  const std::vector<StateEntry> now = state_of(network);
  if (!same_shapes(entries_, now)) {  // the first time, or after a new classifier
    reserve(network);
    for (std::size_t index = 0; index < now.size(); ++index) reserved_[index].tensor.copy_(now[index].tensor);
    entries_ = std::exchange(reserved_, {});
    count_ = 1;
    fresh_ = options_.kind == AverageOptions::Kind::kExponential;
    return;
  }
  fresh_ = options_.kind == AverageOptions::Kind::kExponential;
  std::vector<at::Tensor> averages;
  std::vector<at::Tensor> values;
  for (std::size_t index = 0; index < now.size(); ++index) {
    if (now[index].tensor.is_floating_point()) {
      averages.push_back(entries_[index].tensor);
      values.push_back(now[index].tensor);
    } else {
      entries_[index].tensor.copy_(now[index].tensor);
    }
  }
  const double share = fresh_ ? 1.0 - options_.decay : 1.0 / static_cast<double>(count_ + 1);
  at::_foreach_lerp_(averages, values, share);
  count_ += 1;
}

WeightAverage::Use::Use(WeightAverage& average, const NetworkImpl& network)
    : average_(average), entries_(state_of(network)) {
  const torch::NoGradGuard no_grad;
  if (!same_shapes(average_.entries_, entries_)) {  // a new classifier since the last update
    kept_ = true;
    entries_.clear();
  }
  own_.reserve(entries_.size());
  for (const StateEntry& entry : entries_) own_.push_back(entry.tensor.detach().clone());
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    entries_[index].tensor.copy_(average_.entries_[index].tensor);
  }
  ++average_.uses_;
}

WeightAverage::Use::~Use() {
  --average_.uses_;
  if (kept_) return;
  const torch::NoGradGuard no_grad;
  for (std::size_t index = 0; index < entries_.size(); ++index) entries_[index].tensor.copy_(own_[index]);
}

std::optional<WeightAverage::Use> WeightAverage::use(const NetworkImpl& network) {
  if (ready()) return std::optional<Use>(std::in_place, *this, network);
  return std::nullopt;
}

void WeightAverage::Use::statistics_taken() {
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    if (!entries_[index].is_parameter) average_.entries_[index].tensor.copy_(entries_[index].tensor);
  }
  average_.fresh_ = true;
}

void WeightAverage::save_state(TrainingState& state) const {
  if (options_.kind == AverageOptions::Kind::kNone) return;
  const std::vector<std::int64_t> counts{count_, fresh_ ? 1 : 0};
  state.emplace(std::string(kAveragePrefix) + "count", at::tensor(counts, at::kLong));
  for (const StateEntry& entry : entries_) state.emplace(kAveragePrefix + entry.name, entry.tensor);
}

void WeightAverage::load_state(const TrainingState& state, const NetworkImpl& network) {
  if (options_.kind == AverageOptions::Kind::kNone) return;
  const at::Tensor counts = entry_of(state, std::string(kAveragePrefix) + "count", {2}).to(at::kCPU, at::kLong);
  const auto count = counts[0].item<std::int64_t>();
  std::vector<StateEntry> entries;
  if (count > 0) {
    for (const StateEntry& entry : state_of(network)) {
      const at::Tensor& saved = entry_of(state, kAveragePrefix + entry.name, entry.tensor.sizes());
      entries.push_back({.name = entry.name,
                         .tensor = at::empty_like(entry.tensor.detach()).copy_(saved),
                         .is_parameter = entry.is_parameter});
    }
  }
  count_ = count;
  fresh_ = counts[1].item<std::int64_t>() != 0;
  entries_ = std::move(entries);
}

}  // namespace densenet
