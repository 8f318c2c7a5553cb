#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace densenet {

/// What a pass over labelled images found.
struct Metrics {
  double loss = 0.0;  ///< mean cross-entropy
  double top1 = 0.0;  ///< share of images whose most probable class is the true one
  std::int64_t size = 0;
};

/// The metrics of an evaluation, with more detail.
struct Evaluation {
  Metrics metrics;
  double top5 = 0.0;  ///< share of images whose true class is among the five most probable
  std::int64_t classes = 0;
  std::vector<std::int64_t> confusion;  ///< classes × classes: true class by predicted class
};

/// Adds up batches' results, on the device, and gives the metrics at the end.
class MetricsSum {
 public:
  void add(double mean_loss, std::int64_t correct, std::int64_t size);
  [[nodiscard]] Metrics result() const;

 private:
  double loss_ = 0.0;
  std::int64_t correct_ = 0;
  std::int64_t size_ = 0;
};

/// Adds up an evaluation batch by batch, without ever keeping the logits.
class EvaluationSum {
 public:
  explicit EvaluationSum(std::int64_t classes) : classes_(classes) {}

  /// @param logits N×classes; @param labels N; both on one device.
  void add(const at::Tensor& logits, const at::Tensor& labels);
  [[nodiscard]] Evaluation result() const;

 private:
  std::int64_t classes_;
  MetricsSum sum_;
  std::int64_t correct5_ = 0;
  std::int64_t size_ = 0;
  at::Tensor confusion_;
};

/// Images whose most probable class is the true one.
std::int64_t count_correct(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace densenet
