#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "core/train/learner.h"
#include "core/train/metrics.h"
#include "core/train/options.h"
#include "core/train/training_state.h"

namespace densenet {

/// Watches a run's epochs, and keeps the best of them.
class EarlyStopping {
 public:
  static constexpr std::string_view kPrefix = "trainer.early_stopping.";  ///< of its entries in a training state

  explicit EarlyStopping(const EarlyStoppingOptions& options) : options_(options) {}

  /// Takes in what an epoch came to.
  void observe(std::int64_t epoch, const Metrics& metrics, const Learner& learner);

  /// Whether so many epochs have passed without an improvement that the run should end.
  [[nodiscard]] bool enough() const { return waited_ >= options_.patience; }

  /// Brings model and optimizer back to the end of the best epoch, where that was asked for and there is one. Returns
  /// whether they were brought back.
  bool restore(Learner& learner) const;

  /// From 1; 0 where no epoch came to a number.
  [[nodiscard]] std::int64_t best_epoch() const { return best_epoch_; }
  [[nodiscard]] double best_value() const { return best_value_; }

  void save_state(TrainingState& state) const;
  void load_state(const TrainingState& state);

 private:
  EarlyStoppingOptions options_;
  double best_value_ = std::numeric_limits<double>::quiet_NaN();
  std::int64_t best_epoch_ = 0;
  std::int64_t last_epoch_ = 0;
  std::int64_t waited_ = 0;  // epochs since the best
  TrainingState best_;       // copies; empty where they are not to be restored
};

}  // namespace densenet
