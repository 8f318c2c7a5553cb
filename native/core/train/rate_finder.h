#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/data/dataset.h"
#include "core/model/model.h"
#include "core/train/options.h"

namespace densenet {

/// A search for a learning rate.
struct RateSearch {
  double lowest = 1e-7;
  double highest = 10.0;
  std::int64_t steps = 100;  ///< from the lowest rate to the highest, each larger by the same factor
  std::int64_t batch_size = 32;
  std::int64_t smallest_batch = 1;  ///< see TensorBatches
  double stop_factor = 4.0;         ///< a smoothed loss of so many times the least one ends it
  std::vector<Augmentation> augmentations;
};

/// What the losses of its steps were. Fewer steps than were asked for where the loss ran away before.
struct RateCurve {
  std::vector<double> rates;
  std::vector<double> losses;    ///< of the batches, each before its step
  std::vector<double> smoothed;  ///< their exponential mean
  double suggestion = 0.0;       ///< the rate at which the smoothed loss fell most steeply; 0 where it never fell
};

/// Trains for a few steps at rates that grow, with an optimizer of its own as the options describe it, and then puts
/// everything back (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3). Nothing comes
/// back when `stop` ended it; the model is as it was all the same.
std::optional<RateCurve> find_learning_rate(const std::shared_ptr<Model>& model, TrainerOptions options,
                                            const Dataset& dataset, const RateSearch& search,
                                            const std::function<bool()>& stop);

}  // namespace densenet
