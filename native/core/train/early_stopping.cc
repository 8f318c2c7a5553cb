#include "core/train/early_stopping.h"

#include <ATen/ATen.h>

#include <string>
#include <string_view>
#include <vector>

namespace densenet {

namespace {

std::string name_of(std::string_view entry) { return std::string(EarlyStopping::kPrefix).append(entry); }

}  // namespace

void EarlyStopping::observe(std::int64_t epoch, const Metrics& metrics, const Learner& learner) {
  last_epoch_ = epoch;
  const double value = options_.top1 ? metrics.top1 : metrics.loss;
  const double gain = options_.top1 ? value - best_value_ : best_value_ - value;
  // Where there is no best yet, any number is one; NaN never is.
  if (best_epoch_ == 0 ? value != value : !(gain > options_.min_delta)) {
    waited_ += 1;
    return;
  }
  best_value_ = value;
  best_epoch_ = epoch;
  waited_ = 0;
  if (!options_.restore_best) return;
  TrainingState now;
  learner.save_state(now);
  best_.clear();  // before its successor is made: each is a whole model
  best_ = copy_of(now);
}

bool EarlyStopping::restore(Learner& learner) const {
  if (best_.empty()) return false;
  if (best_epoch_ != last_epoch_) learner.load_state(best_);
  return true;
}

void EarlyStopping::save_state(TrainingState& state) const {
  const std::vector<double> counts{best_value_, static_cast<double>(best_epoch_), static_cast<double>(last_epoch_),
                                   static_cast<double>(waited_)};
  state.emplace(name_of("counts"), at::tensor(counts, at::kDouble));
  for (const auto& [name, tensor] : best_) state.emplace(name_of("best.") + name, tensor);
}

void EarlyStopping::load_state(const TrainingState& state) {
  const at::Tensor counts = entry_of(state, name_of("counts"), {4}).to(at::kCPU, at::kDouble).contiguous();
  const auto* values = counts.const_data_ptr<double>();
  best_value_ = values[0];
  best_epoch_ = static_cast<std::int64_t>(values[1]);
  last_epoch_ = static_cast<std::int64_t>(values[2]);
  waited_ = static_cast<std::int64_t>(values[3]);
  best_.clear();
  const std::string best = name_of("best.");
  for (const auto& [name, tensor] : entries_below(state, best)) best_.emplace(name.substr(best.size()), tensor);
}

}  // namespace densenet
