#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/data/augmentation.h"

namespace densenet {

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

/// One training run.
struct FitPlan {
  std::int64_t epochs = 1;
  std::int64_t batch_size = 32;
  std::int64_t smallest_batch = 1;  ///< see DatasetBatches
  bool shuffle = true;
  std::vector<Augmentation> augmentations;
};

}  // namespace densenet
