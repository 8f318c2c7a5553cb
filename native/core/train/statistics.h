#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace densenet {

/// Batch norm's statistics as they were before a step. A step that fails gets them back: forward has moved them by
/// then, and one NaN in them would stay in every later prediction.
class StatisticsGuard {
 public:
  explicit StatisticsGuard(const std::vector<at::Tensor>& buffers);
  ~StatisticsGuard();  // puts them back, unless the step was accepted
  StatisticsGuard(const StatisticsGuard&) = delete;
  StatisticsGuard& operator=(const StatisticsGuard&) = delete;
  StatisticsGuard(StatisticsGuard&&) = delete;
  StatisticsGuard& operator=(StatisticsGuard&&) = delete;

  void accept() { accepted_ = true; }

 private:
  /// Buffers of one type, and their values in one tensor: a few hundred small copies would cost more than what they
  /// copy.
  struct Kept {
    std::vector<at::Tensor> buffers;
    at::Tensor values;
  };

  Kept means_and_variances_;
  Kept counters_;
  bool accepted_ = false;
};

}  // namespace densenet
