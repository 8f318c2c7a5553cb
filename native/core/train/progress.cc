#include "core/train/progress.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/train/early_stopping.h"
#include "core/train/schedule.h"

namespace densenet {

namespace {

constexpr std::int64_t kCounts = 9;
constexpr std::int64_t kSums = 2;

}  // namespace

void Progress::add(const StepResult& result) {
  loss += result.loss * static_cast<double>(result.size);
  correct += result.correct;
  size += result.size;
  steps += 1;
}

Metrics Progress::metrics() const {
  const auto count = static_cast<double>(std::max<std::int64_t>(size, 1));
  return {.loss = loss / count, .top1 = static_cast<double>(correct) / count, .size = size};
}

void Progress::begin_next_epoch() {
  epoch += 1;
  batches = 0;
  steps = 0;
  loss = 0.0;
  correct = 0;
  size = 0;
  epoch_generator = at::Tensor();
}

void Progress::save_state(TrainingState& state) const {
  const std::vector<std::int64_t> counts{epoch,        batches,          steps,           correct, size, best ? 1 : 0,
                                         shape.images, shape.batch_size, shape.accumulate};
  const std::vector<double> sums{loss, best.value_or(0.0)};
  state.emplace("trainer.progress.counts", at::tensor(counts, at::kLong));
  state.emplace("trainer.progress.sums", at::tensor(sums, at::kDouble));
  if (epoch_generator.defined()) state.emplace("trainer.generator.epoch", epoch_generator);
  state.insert(schedule.begin(), schedule.end());
  state.insert(early_stopping.begin(), early_stopping.end());
}

Progress Progress::from_state(const TrainingState& state) {
  const at::Tensor counts = entry_of(state, "trainer.progress.counts", {kCounts}).to(at::kCPU, at::kLong).contiguous();
  const at::Tensor sums = entry_of(state, "trainer.progress.sums", {kSums}).to(at::kCPU, at::kDouble).contiguous();
  const auto* count = counts.const_data_ptr<std::int64_t>();
  const auto* sum = sums.const_data_ptr<double>();
  Progress progress;
  progress.epoch = count[0];
  progress.batches = count[1];
  progress.steps = count[2];
  progress.correct = count[3];
  progress.size = count[4];
  if (count[5] != 0) progress.best = sum[1];
  progress.shape = {.images = count[6], .batch_size = count[7], .accumulate = count[8]};
  progress.loss = sum[0];
  const auto generator = state.find("trainer.generator.epoch");
  if (generator != state.end()) progress.epoch_generator = generator->second.clone();
  progress.schedule = copy_of(entries_below(state, Schedule::kEntry));
  progress.early_stopping = copy_of(entries_below(state, EarlyStopping::kPrefix));
  return progress;
}

}  // namespace densenet
