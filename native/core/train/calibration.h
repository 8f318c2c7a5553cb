#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace densenet {

/// The number of bins of Guo et al. (2017).
inline constexpr std::int64_t kCalibrationBins = 15;

/// How far probabilities are what they say. Bin m of M holds the predictions of a probability in ((m - 1)/M, m/M].
struct Calibration {
  /// The expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3): the
  /// mean of |accuracy - confidence| over the bins, each weighted by its predictions.
  double error = 0.0;
  std::vector<double> count;       ///< predictions of each bin
  std::vector<double> confidence;  ///< their mean probability; 0 in an empty bin
  std::vector<double> accuracy;    ///< the share of them that was right; 0 in an empty bin
};

/// Adds predictions up, on the device.
class CalibrationSum {
 public:
  explicit CalibrationSum(std::int64_t bins) : bins_(bins) {}

  /// @param probability N, float64; @param right N, bool.
  void add(const at::Tensor& probability, const at::Tensor& right);
  [[nodiscard]] Calibration result() const;

 private:
  std::int64_t bins_;
  at::Tensor sums_;  // count, probability and right predictions of each bin: 3×bins, float64
};

}  // namespace densenet
