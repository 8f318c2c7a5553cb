#pragma once

#include <functional>
#include <memory>

#include "core/data/dataset.h"
#include "core/model/model.h"
#include "core/train/metrics.h"
#include "core/train/options.h"

namespace densenet {

/// The result of one optimizer step.
struct StepResult {
  double loss = 0.0;         ///< mean of the batch
  std::int64_t correct = 0;  ///< images whose most probable class was the true one
  std::int64_t size = 0;     ///< images in the batch
};

/// After an optimizer step of a run. Epochs and steps count from 1.
struct StepEvent {
  std::int64_t epoch = 0;
  std::int64_t step = 0;   ///< in the epoch
  std::int64_t steps = 0;  ///< of the epoch
  double loss = 0.0;
  double learning_rate = 0.0;
  double images_per_second = 0.0;  ///< since the epoch began
};

/// After an epoch of a run.
struct EpochEvent {
  std::int64_t epoch = 0;
  Metrics train;  ///< of the batches as they were trained on, each before its step
  std::optional<Metrics> validation;
  double seconds = 0.0;
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

  /// Between two steps: the time for whatever else waits for the model.
  virtual void pause() = 0;

  /// Whether the run should end before the next step.
  [[nodiscard]] virtual bool stop_requested() const = 0;
};

/// Trains one model. Like the model itself it is used from one thread.
class Trainer {
 public:
  Trainer(std::shared_ptr<Model> model, const TrainerOptions& options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  Trainer(Trainer&&) = delete;
  Trainer& operator=(Trainer&&) = delete;

  /// One optimizer step on a batch: images N×C×H×W, labels N (int32).
  StepResult step(const HostTensor& images, const HostTensor& labels);

  /// Trains on `train`, and evaluates on `validation` (may be empty) after each epoch. Returns false when the observer
  /// stopped it; the model is then as the last whole step left it.
  bool fit(const DatasetPtr& train, const DatasetPtr& validation, const FitPlan& plan, FitObserver& observer);

  /// Goes once over the data in evaluation mode. `stop` ends it early: nothing comes back.
  std::optional<Evaluation> evaluate(const DatasetPtr& dataset, std::int64_t batch_size,
                                     const std::function<bool()>& stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace densenet
