#include "core/train/calibration.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace densenet {

void CalibrationSum::add(const at::Tensor& probability, const at::Tensor& right) {
  const at::Tensor finite = probability.nan_to_num(0.0);
  const at::Tensor bin = finite.mul(bins_).ceil_().sub_(1).clamp_(0, bins_ - 1).to(at::kLong);
  if (!sums_.defined()) sums_ = at::zeros({3, bins_}, finite.options());
  sums_[0].scatter_add_(0, bin, at::ones_like(finite));
  sums_[1].scatter_add_(0, bin, finite);
  sums_[2].scatter_add_(0, bin, right.to(finite.scalar_type()));
}

Calibration CalibrationSum::result() const {
  const auto bins = static_cast<std::size_t>(bins_);
  Calibration calibration{.error = 0.0,
                          .count = std::vector<double>(bins),
                          .confidence = std::vector<double>(bins),
                          .accuracy = std::vector<double>(bins)};
  if (!sums_.defined()) return calibration;
  const at::Tensor host = sums_.to(at::kCPU).contiguous();
  const auto* sums = host.const_data_ptr<double>();
  double all = 0.0;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const double count = sums[bin];
    calibration.count[bin] = count;
    if (count == 0.0) continue;
    calibration.confidence[bin] = sums[bins + bin] / count;
    calibration.accuracy[bin] = sums[(2 * bins) + bin] / count;
    calibration.error += count * std::abs(calibration.accuracy[bin] - calibration.confidence[bin]);
    all += count;
  }
  calibration.error /= std::max(all, 1.0);
  return calibration;
}

}  // namespace densenet
