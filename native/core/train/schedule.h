#pragma once

#include <cstdint>
#include <vector>

#include "core/train/metrics.h"
#include "core/train/optimizer.h"
#include "core/train/options.h"
#include "core/train/training_state.h"

namespace densenet {

/// How long a run is.
struct RunLength {
  std::int64_t epochs = 1;
  std::int64_t steps = 1;  ///< of an epoch
};

/// The learning rates of a run, as PyTorch's schedulers give them (torch.optim.lr_scheduler). A warm-up in front is
/// SequentialLR of LinearLR or ConstantLR and the schedule, which begins when the warm-up ends.
class Schedule {
 public:
  static constexpr const char* kEntry = "trainer.schedule";  ///< its entry in a training state

  /// `base_rates`: of the optimizer's groups.
  Schedule(ScheduleOptions options, std::vector<double> base_rates, const RunLength& run);

  /// The rates of a step; both count from 0, the step within its epoch.
  [[nodiscard]] Rates at(std::int64_t epoch, std::int64_t step) const;

  /// Tells what an epoch came to; the plateau schedule goes by it.
  void observe(const Metrics& metrics);

  void save_state(TrainingState& state) const;
  void load_state(const TrainingState& state);

 private:
  [[nodiscard]] double rate_at(double base, std::int64_t moment) const;
  [[nodiscard]] double warm_up_factor(std::int64_t moment) const;
  [[nodiscard]] double one_cycle(std::int64_t moment, double first, double peak, double last) const;

  ScheduleOptions options_;
  std::vector<double> base_rates_;
  std::int64_t steps_;   // of an epoch
  std::int64_t length_;  // of the schedule, without the warm-up

  /// Of the plateau schedule.
  struct Watch {
    std::vector<double> rates;
    double best = 0.0;
    std::int64_t epochs = 0;  // seen, warm-up left out
    std::int64_t bad = 0;     // in a row
    std::int64_t cooldown = 0;
  };
  Watch watch_;
};

/// The rates of every step of a run, in order. `epochs` are what each epoch came to; without them the plateau schedule
/// sees epochs that all come to the same.
std::vector<Rates> rates_of_run(const ScheduleOptions& options, double base_rate, const RunLength& run,
                                const std::vector<Metrics>& epochs);

}  // namespace densenet
