#pragma once

#include <ATen/core/Generator.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/train/checkpoint_folder.h"
#include "core/train/early_stopping.h"
#include "core/train/learner.h"
#include "core/train/metrics.h"
#include "core/train/options.h"
#include "core/train/progress.h"
#include "core/train/run_data.h"
#include "core/train/schedule.h"

namespace densenet {

/// After an optimizer step of a run. Epochs and steps count from 1.
struct StepEvent {
  std::int64_t epoch = 0;
  std::int64_t step = 0;   ///< in the epoch
  std::int64_t steps = 0;  ///< of the epoch
  double loss = 0.0;
  double learning_rate = 0.0;
  double images_per_second = 0.0;  ///< since the epoch began, or was gone on with
};

/// After an epoch of a run.
struct EpochEvent {
  std::int64_t epoch = 0;
  Metrics train;  ///< of the batches as they were trained on, each before its step
  std::optional<Metrics> validation;
  double seconds = 0.0;
};

/// After a checkpoint of a run was written and verified.
struct CheckpointEvent {
  std::string path;
  std::int64_t epoch = 0;
  bool best = false;  ///< whether this was the best epoch so far, and best.safetensors is its too
};

/// At the end of a run with early stopping, if any epoch came to a number.
struct EarlyStoppingEvent {
  std::int64_t epoch = 0;  ///< the last that was trained
  std::int64_t best_epoch = 0;
  double value = 0.0;     ///< the best epoch's, of what decides
  bool stopped = false;   ///< whether the run ended before its last epoch
  bool restored = false;  ///< whether the model is as it was after the best epoch
};

/// Whoever follows a run; called on the thread that trains.
class FitObserver {
 public:
  FitObserver() = default;
  virtual ~FitObserver() = default;
  FitObserver(const FitObserver&) = delete;
  FitObserver& operator=(const FitObserver&) = delete;
  FitObserver(FitObserver&&) = delete;
  FitObserver& operator=(FitObserver&&) = delete;

  virtual void on_step(const StepEvent& event) = 0;
  virtual void on_epoch(const EpochEvent& event) = 0;
  virtual void on_checkpoint(const CheckpointEvent& event) = 0;
  virtual void on_early_stopping(const EarlyStoppingEvent& event) = 0;

  /// Between two steps: the time for whatever else waits for the model.
  virtual void pause() = 0;

  /// Whether the run should end before the next step.
  [[nodiscard]] virtual bool stop_requested() const = 0;

  /// Whether nobody waits for anything any more: the run ends without a last checkpoint.
  [[nodiscard]] virtual bool abandoned() const = 0;
};

/// One training run, from wherever its progress is to its end.
class Run {
 public:
  struct Parts {
    Learner& learner;
    Progress& progress;
    at::Generator& data_generator;
    const TrainerOptions& options;
    const FitPlan& plan;
    RunData& train;
    RunData* validation;  ///< null for none
    FitObserver& observer;
  };

  explicit Run(const Parts& parts);

  /// Returns false when the observer stopped it; model and progress are then as the last whole step left them.
  bool go();

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool stopped() const { return parts_.observer.stop_requested(); }
  [[nodiscard]] std::int64_t steps() const;
  [[nodiscard]] Rates rates() const;
  void open_folder();
  bool train_epoch();
  void begin_batches();
  std::optional<StepResult> step(bool pooled, const Rates& rates);
  Batch prepare(Batch batch, bool pooled);
  bool finish_epoch();
  bool evaluate_epoch(EpochEvent& event);
  /// Takes batch norm's statistics of a plain average's own features. Returns false when it was stopped.
  bool finish_average();
  bool finish_stopped();
  [[nodiscard]] bool ended_early() const { return early_stopping_ && early_stopping_->enough(); }
  void finish_early_stopping();
  bool is_best(const Metrics& metrics);
  void save(bool best);

  Parts parts_;
  Schedule schedule_;
  std::optional<EarlyStopping> early_stopping_;
  std::optional<CheckpointFolder> folder_;
  bool unsaved_ = false;  // whether anything was trained since the last checkpoint
  Clock::time_point epoch_start_;
};

/// All that decides how training goes on.
TrainingState training_state(const Learner& learner, const Progress& progress, const at::Generator& data_generator);

}  // namespace densenet
