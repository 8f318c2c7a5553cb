#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/data/dataset.h"
#include "core/model/model.h"
#include "core/train/evaluation.h"
#include "core/train/learner.h"
#include "core/train/metrics.h"
#include "core/train/options.h"
#include "core/train/rate_finder.h"
#include "core/train/run.h"

namespace densenet {

/// Trains one model. Like the model itself it is used from one thread.
class Trainer {
 public:
  Trainer(std::shared_ptr<Model> model, const TrainerOptions& options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  Trainer(Trainer&&) = delete;
  Trainer& operator=(Trainer&&) = delete;

  /// One optimizer step on a batch: images N×C×H×W, labels N (int32) or N×classes (float32).
  StepResult step(const HostTensor& images, const HostTensor& labels);

  /// Trains on `train`, and evaluates on `validation` (may be empty) after each epoch. After `resume` it goes on where
  /// the saved run stopped. Returns false when the observer stopped it; the model is then as the last whole step left
  /// it.
  bool fit(const DatasetPtr& train, const DatasetPtr& validation, const FitPlan& plan, FitObserver& observer);

  /// Goes once over the data in evaluation mode, with the averaged weights where there are any. `stop` ends it early:
  /// nothing comes back.
  std::optional<Evaluation> evaluate(const DatasetPtr& dataset, std::int64_t batch_size,
                                     const EvaluationOptions& options, const std::function<bool()>& stop);

  /// See find_learning_rate; with the trainer's options, whose optimizer it leaves alone.
  std::optional<RateCurve> find_learning_rate(const DatasetPtr& dataset, const RateSearch& search,
                                              const std::function<bool()>& stop);

  /// Writes all that decides how training goes on, between two steps or after a run.
  /// @param metadata A JSON object.
  void save(const std::string& path, const std::string& metadata) const;

  /// Takes a checkpoint, which was verified before: all or nothing. Throws ERR_CHECKPOINT_MISMATCH for one of another
  /// model or trainer. Returns how far it had come.
  const Progress& resume(const std::string& path, std::span<const TensorEntry> entries);

  /// Writes a file of the model's pieces with the averaged weights, or the model's own where there are none.
  void save_weights(const std::string& path, std::span<const FilePiece> pieces);

  /// Gives the memory back, with the model's. It takes no call afterwards.
  void release() noexcept;

  /// Puts the averaged weights into the model, if there are any. Returns whether there were.
  bool adopt_average();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace densenet
