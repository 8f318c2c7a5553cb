#pragma once

#include "core/train/options.h"

namespace densenet {

/// The learning rate of an epoch, counted from 0, of a run of `epochs`; as PyTorch's StepLR and CosineAnnealingLR when
/// they are stepped once an epoch.
double learning_rate_at(const ScheduleOptions& schedule, double base, std::int64_t epoch, std::int64_t epochs);

}  // namespace densenet
