#include "core/train/scaler.h"

#include <ATen/ATen.h>

namespace densenet {

namespace {

constexpr double kGrowth = 2.0;
constexpr double kBackoff = 0.5;
constexpr std::int64_t kGrowthInterval = 2000;  // steps
constexpr double kSmallest = 1.0 / 1024.0;

}  // namespace

bool GradientScaler::unscale(const std::vector<at::Tensor>& gradients) const {
  if (gradients.empty()) return true;
  const auto options = gradients.front().options().dtype(at::kFloat);
  at::Tensor overflow = at::zeros({}, options);
  const at::Tensor inverse = at::full({}, 1.0 / scale_, options);
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflow, inverse);
  return overflow.item<double>() == 0.0;
}

void GradientScaler::update(bool taken) {
  if (!taken) {
    scale_ *= kBackoff;
    taken_ = 0;
  } else if (++taken_ == kGrowthInterval) {
    scale_ *= kGrowth;
    taken_ = 0;
  }
}

bool GradientScaler::exhausted() const { return scale_ < kSmallest; }

void GradientScaler::save_state(TrainingState& state) const {
  const std::vector<double> values{scale_, static_cast<double>(taken_)};
  state.emplace("trainer.scaler", at::tensor(values, at::kDouble));
}

void GradientScaler::load_state(const TrainingState& state) {
  const at::Tensor saved = entry_of(state, "trainer.scaler", {2}).to(at::kCPU, at::kDouble);
  scale_ = saved[0].item<double>();
  taken_ = saved[1].item<std::int64_t>();
}

}  // namespace densenet
