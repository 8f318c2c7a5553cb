#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/augmentation.h"
#include "core/data/order.h"

namespace densenet {

/// Some of the parameters, with rates of their own.
struct ParameterGroup {
  std::string prefix;  ///< the parameters at or below this dotted name; empty for all
  double learning_rate = 0.1;
  double weight_decay = 0.0;
};

/// How weights move. Defaults are PyTorch's.
struct OptimizerOptions {
  enum class Kind : std::uint8_t { kSgd, kAdam, kAdamW };
  Kind kind = Kind::kSgd;
  double learning_rate = 0.1;
  double weight_decay = 0.0;
  double momentum = 0.0;  ///< SGD
  bool nesterov = false;  ///< SGD
  double beta1 = 0.9;     ///< Adam and AdamW
  double beta2 = 0.999;   ///< Adam and AdamW
  double epsilon = 1e-8;  ///< Adam and AdamW
  /// Each parameter belongs to the group with the longest prefix that it lies below, if any, and otherwise has the
  /// rates above.
  std::vector<ParameterGroup> groups;
};

/// How the learning rate changes from epoch to epoch.
struct ScheduleOptions {
  enum class Kind : std::uint8_t {
    kConstant,
    kStep,    ///< times `gamma` after every `step_size` epochs
    kCosine,  ///< half a cosine from the base rate to `minimum` over `length` epochs
  };
  Kind kind = Kind::kConstant;
  std::int64_t step_size = 1;
  double gamma = 0.1;
  std::int64_t length = 0;  ///< epochs; 0 for the whole run
  double minimum = 0.0;
};

struct TrainerOptions {
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  double label_smoothing = 0.0;
  std::optional<std::uint64_t> seed;  ///< of the order of images, augmentation and dropout
};

/// A part of the network that begins to learn in the course of a run.
struct Unfreezing {
  std::int64_t epoch = 1;  ///< at whose start, from 1
  std::string prefix;
};

/// One training run.
struct FitPlan {
  std::int64_t epochs = 1;
  std::int64_t batch_size = 32;
  std::int64_t smallest_batch = 1;  ///< see TensorBatches
  Order order = Order::kShuffled;
  std::vector<Augmentation> augmentations;
  std::vector<Unfreezing> unfreezing;
  /// Features that training cannot change are computed once and kept, where they take no more bytes than this.
  std::int64_t feature_cache_bytes = 0;
};

}  // namespace densenet
