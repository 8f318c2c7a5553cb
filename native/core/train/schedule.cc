#include "core/train/schedule.h"

#include <cmath>
#include <numbers>

namespace densenet {

double learning_rate_at(const ScheduleOptions& schedule, double base, std::int64_t epoch, std::int64_t epochs) {
  switch (schedule.kind) {
    case ScheduleOptions::Kind::kConstant:
      return base;
    case ScheduleOptions::Kind::kStep: {
      const std::int64_t drops = epoch / schedule.step_size;
      return base * std::pow(schedule.gamma, static_cast<double>(drops));
    }
    case ScheduleOptions::Kind::kCosine: {
      const auto length = static_cast<double>(schedule.length > 0 ? schedule.length : epochs);
      const double angle = std::numbers::pi * static_cast<double>(epoch) / length;
      return schedule.minimum + ((base - schedule.minimum) * (1.0 + std::cos(angle)) / 2.0);
    }
  }
  return base;
}

}  // namespace densenet
