#pragma once

#include <cstdint>

namespace densenet {

/// What a pass over labelled images found.
struct Metrics {
  double loss = 0.0;  ///< mean cross-entropy
  double top1 = 0.0;  ///< share of images whose most probable class is the true one
  std::int64_t size = 0;
};

/// Adds up batches' results, and gives the metrics at the end.
class MetricsSum {
 public:
  void add(double mean_loss, std::int64_t correct, std::int64_t size);
  [[nodiscard]] Metrics result() const;

 private:
  double loss_ = 0.0;
  std::int64_t correct_ = 0;
  std::int64_t size_ = 0;
};

}  // namespace densenet
