#include "core/train/rate_finder.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>

#include "core/data/order.h"
#include "core/error.h"
#include "core/model/network.h"
#include "core/train/learner.h"
#include "core/train/run_data.h"
#include "core/train/vary.h"

namespace densenet {

namespace {

/// Puts weights, buffers and gradients back at its end.
class Restored {
 public:
  explicit Restored(const NetworkImpl& network) : entries_(state_of(network)) {
    for (const StateEntry& entry : entries_) {
      copies_.push_back(entry.tensor.detach().clone());
      gradients_.push_back(entry.is_parameter ? entry.tensor.grad() : at::Tensor());
    }
  }
  ~Restored() {
    const torch::NoGradGuard no_grad;
    for (std::size_t index = 0; index < entries_.size(); ++index) {
      entries_[index].tensor.copy_(copies_[index]);
      if (entries_[index].is_parameter) entries_[index].tensor.mutable_grad() = gradients_[index];
    }
  }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;
  Restored(Restored&&) = delete;
  Restored& operator=(Restored&&) = delete;

 private:
  std::vector<StateEntry> entries_;
  std::vector<at::Tensor> copies_;
  std::vector<at::Tensor> gradients_;
};

/// The rate at which the curve falls most steeply by the logarithm of the rate; its first steps, where the mean has
/// hardly begun, and its last ones do not count.
double steepest(const RateCurve& curve) {
  const std::size_t count = curve.smoothed.size();
  const std::size_t margin = std::max<std::size_t>(1, count / 10);
  double suggestion = 0.0;
  double lowest = 0.0;
  for (std::size_t index = margin; index + margin < count; ++index) {
    // The rates grow by one factor, so differences of the loss order the slopes.
    const double slope = curve.smoothed[index + 1] - curve.smoothed[index - 1];
    if (slope >= lowest) continue;
    lowest = slope;
    suggestion = curve.rates[index];
  }
  return suggestion;
}

/// An exponential mean that is corrected for its beginning.
class Mean {
 public:
  double add(double value) {
    constexpr double kKept = 0.9;
    sum_ = (kKept * sum_) + ((1.0 - kKept) * value);
    kept_ *= kKept;
    return sum_ / (1.0 - kept_);
  }

 private:
  double sum_ = 0.0;
  double kept_ = 1.0;
};

}  // namespace

std::optional<RateCurve> find_learning_rate(const std::shared_ptr<Model>& model, TrainerOptions options,
                                            const Dataset& dataset, const RateSearch& search,
                                            const std::function<bool()>& stop) {
  check_dataset(dataset, *model, "images", "labels");
  options.average = {};
  const Restored restored(model->network());
  Learner learner(model, options);
  learner.follow();
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(*options.seed);
  RunData data(dataset, search.batch_size, search.smallest_batch, learner.device(), {.stop = stop});
  BatchSource& images = data.images();
  const auto start_epoch = [&] { images.start_epoch(draw_order(Order::kShuffled, data.labels(), generator)); };
  const std::vector<double> base = learner.optimizer().base_rates();
  RateCurve curve;
  Mean mean;
  start_epoch();
  for (std::int64_t step = 0; step < search.steps; ++step) {
    if (stop()) return std::nullopt;
    std::optional<Batch> batch = images.next();
    if (!batch && !stop()) {
      start_epoch();
      batch = images.next();
    }
    if (stop()) return std::nullopt;  // while it waited for a feed
    if (!batch) break;                // every image was left out
    batch = vary(*std::move(batch), search.augmentations, options.mixing, model->config(), generator);
    const double share = search.steps == 1 ? 0.0 : static_cast<double>(step) / static_cast<double>(search.steps - 1);
    const double rate = search.lowest * std::pow(search.highest / search.lowest, share);
    Rates rates{.learning_rates = base, .momentum = {}};
    for (double& one : rates.learning_rates) one *= rate / base.front();  // groups keep their shares
    try {
      const double loss = learner.step({&*batch, 1}, /*pooled=*/false, rates).loss;
      curve.rates.push_back(rate);
      curve.losses.push_back(loss);
      curve.smoothed.push_back(mean.add(loss));
    } catch (const Error& error) {
      // Which is how the search may end: the rate was too large before this one.
      if (std::string_view(error.code()) != code::kNonFiniteLoss) throw;
      break;
    }
    if (curve.smoothed.back() > search.stop_factor * *std::ranges::min_element(curve.smoothed)) break;
  }
  curve.suggestion = steepest(curve);
  return curve;
}

}  // namespace densenet
