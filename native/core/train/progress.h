#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "core/train/learner.h"
#include "core/train/metrics.h"
#include "core/train/training_state.h"

namespace densenet {

/// What a run's data are, as far as a place in the middle of an epoch depends on it.
struct EpochShape {
  std::int64_t images = 0;
  std::int64_t batch_size = 0;
  std::int64_t accumulate = 0;
  bool operator==(const EpochShape&) const = default;
};

/// How far a run has come: kept by the trainer when the run ends or is stopped, and saved with it.
struct Progress {
  std::int64_t epoch = 1;    ///< the one that it is in, from 1; beyond the last when it has ended
  std::int64_t batches = 0;  ///< done in this epoch
  std::int64_t steps = 0;    ///< taken in this epoch
  EpochShape shape;
  /// Of this epoch's steps.
  double loss = 0.0;  ///< sum over the images
  std::int64_t correct = 0;
  std::int64_t size = 0;
  std::optional<double> best;    ///< the best epoch's value of what decides
  at::Tensor epoch_generator;    ///< the data generator's state when this epoch began; undefined before
  TrainingState schedule;        ///< what the schedule has seen
  TrainingState early_stopping;  ///< what early stopping has

  void add(const StepResult& result);
  [[nodiscard]] Metrics metrics() const;
  void begin_next_epoch();

  void save_state(TrainingState& state) const;
  static Progress from_state(const TrainingState& state);
};

}  // namespace densenet
