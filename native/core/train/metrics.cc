#include "core/train/metrics.h"

#include <algorithm>

namespace densenet {

void MetricsSum::add(double mean_loss, std::int64_t correct, std::int64_t size) {
  loss_ += mean_loss * static_cast<double>(size);
  correct_ += correct;
  size_ += size;
}

Metrics MetricsSum::result() const {
  const auto size = static_cast<double>(std::max<std::int64_t>(size_, 1));
  return {.loss = loss_ / size, .top1 = static_cast<double>(correct_) / size, .size = size_};
}

}  // namespace densenet
