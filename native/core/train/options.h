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
  enum class Kind : std::uint8_t { kSgd, kAdam, kAdamW, kRmsProp };
  Kind kind = Kind::kSgd;
  bool nesterov = false;  ///< SGD
  bool amsgrad = false;   ///< Adam and AdamW
  bool centered = false;  ///< RMSprop: divides by the standard deviation instead
  /// Whether weight decay is for norms and biases too, that is for parameters of one dimension.
  bool decay_vectors = true;
  double learning_rate = 0.1;
  double weight_decay = 0.0;
  double momentum = 0.0;   ///< SGD and RMSprop
  double dampening = 0.0;  ///< SGD
  double beta1 = 0.9;      ///< Adam and AdamW
  double beta2 = 0.999;    ///< Adam and AdamW
  double alpha = 0.99;     ///< RMSprop: decay of the running mean of squares
  double epsilon = 1e-8;   ///< all but SGD
  /// Each parameter belongs to the group with the longest prefix that it lies below, if any, and otherwise has the
  /// rates above.
  std::vector<ParameterGroup> groups;
};

/// How the learning rate changes. Lengths are counted in intervals, each an epoch or a step.
struct ScheduleOptions {
  enum class Kind : std::uint8_t {
    kConstant,
    kStep,            ///< times `gamma` after every `step_size` intervals
    kMultiStep,       ///< times `gamma` at each of the `milestones`
    kExponential,     ///< times `gamma` after every interval
    kCosine,          ///< half a cosine from the base rate to `minimum` over `length`
    kCosineRestarts,  ///< half a cosine over `period`, then anew, each `period_factor` times as long as the one before
    kOneCycle,        ///< up to the base rate and down to next to nothing over `length`
    kPolynomial,      ///< times (1 − t/length)^power
    kPlateau,         ///< times `gamma` when the monitored value has stopped getting better
  };
  Kind kind = Kind::kConstant;
  bool per_step = false;  ///< an interval is a step; otherwise an epoch
  std::int64_t step_size = 1;
  std::vector<std::int64_t> milestones;
  double gamma = 0.1;
  std::int64_t length = 0;  ///< 0 for what the warm-up leaves of the run
  double minimum = 0.0;     ///< a rate
  std::int64_t period = 1;
  std::int64_t period_factor = 1;
  double power = 1.0;

  /// Smith and Topin, 2018.
  struct OneCycle {
    double rising = 0.3;        ///< the share of the length in which the rate rises
    double start_divisor = 25;  ///< the first rate is the base rate divided by this
    double end_divisor = 1e4;   ///< the last is the first divided by this
    bool linear = false;        ///< straight lines in the place of half cosines
    bool three_phases = false;  ///< down as long as up, and then the rest to the last rate
    bool cycle_momentum = true;
    double low_momentum = 0.85;
    double high_momentum = 0.95;
  };
  OneCycle one_cycle;

  struct Plateau {
    std::int64_t patience = 10;  ///< epochs without improvement that are let pass
    std::int64_t cooldown = 0;   ///< epochs after a change that do not count
    double threshold = 1e-4;     ///< what counts as an improvement
    bool relative = true;        ///< the threshold is a share of the best value
    double epsilon = 1e-8;       ///< a smaller change of the rate is not made
    bool top1 = false;           ///< monitors the top-1 accuracy; otherwise the loss
  };
  Plateau plateau;

  struct WarmUp {
    std::int64_t length = 0;  ///< intervals before the schedule begins; 0 for none
    double start = 0.1;       ///< the first rate, as a share of the schedule's first
    bool constant = false;    ///< keeps that share all along; otherwise it rises in a straight line
  };
  WarmUp warm_up;
};

/// What is made small. Each is a mean over the step's images, or over their labels where an image has several.
struct LossOptions {
  enum class Kind : std::uint8_t {
    kCrossEntropy,
    kFocal,        ///< softmax cross-entropy times (1−p)^gamma (Lin et al., 2017)
    kBinary,       ///< binary cross-entropy of each label
    kBinaryFocal,  ///< the same times (1−p)^gamma, positives times alpha and negatives times 1−alpha
  };
  Kind kind = Kind::kCrossEntropy;
  double label_smoothing = 0.0;
  double gamma = 2.0;
  double alpha = 0.25;         ///< below 0 for none
  std::vector<double> weight;  ///< of each class, or of each label's positives; empty for all 1

  [[nodiscard]] bool binary() const { return kind == Kind::kBinary || kind == Kind::kBinaryFocal; }
};

/// Mixing pairs of images of a batch and their labels. With both, each batch takes one or the other.
struct MixingOptions {
  double mixup = 0.0;   ///< the parameter of the Beta distribution of the shares (Zhang et al., 2018); 0 for none
  double cutmix = 0.0;  ///< … of the areas (Yun et al., 2019)

  [[nodiscard]] bool any() const { return mixup > 0.0 || cutmix > 0.0; }
};

/// An average of the weights beside those that are trained.
struct AverageOptions {
  enum class Kind : std::uint8_t {
    kNone,
    kExponential,  ///< after each step, with `decay`
    kStochastic,   ///< after each epoch from `first_epoch` on, all alike (Izmailov et al., 2018)
  };
  Kind kind = Kind::kNone;
  double decay = 0.999;
  std::int64_t first_epoch = 1;
  double learning_rate = 0.0;  ///< from `first_epoch` on; 0 for the schedule's
};

enum class Precision : std::uint8_t { kFloat32, kBFloat16, kFloat16 };

struct TrainerOptions {
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  LossOptions loss;
  MixingOptions mixing;
  AverageOptions average;
  Precision precision = Precision::kFloat32;
  bool channels_last = false;
  bool deterministic = false;
  double clip_norm = 0.0;   ///< of all gradients together, at most; 0 for no limit
  double clip_value = 0.0;  ///< of each gradient's elements, at most; 0 for no limit
  std::int64_t accumulate = 1;
  std::optional<std::uint64_t> seed;  ///< of the order of images, augmentation, mixing and dropout
};

/// A part of the network that begins to learn in the course of a run.
struct Unfreezing {
  std::int64_t epoch = 1;  ///< at whose start, from 1
  std::string prefix;
};

/// Which checkpoints a run writes.
struct CheckpointPlan {
  std::string folder;
  std::int64_t every_epochs = 1;  ///< 0 for none at the end of an epoch
  std::int64_t every_steps = 0;   ///< 0 for none within an epoch
  std::int64_t keep_last = 3;
  enum class Best : std::uint8_t { kNone, kLoss, kTop1 };
  Best best = Best::kNone;  ///< of the validation data, or the training data without any
  bool continues = false;   ///< whether the run goes on from a checkpoint of this folder, which may have others then
  std::string metadata;     ///< a JSON object: the file's `__metadata__`
};

/// Ends a run that no longer gets better, by the validation data's metrics or, without any, the training's.
struct EarlyStoppingOptions {
  bool top1 = false;           ///< the top-1 accuracy decides; otherwise the loss
  std::int64_t patience = 10;  ///< epochs without an improvement that end it, at least 1
  double min_delta = 0.0;      ///< an improvement is larger than this
  bool restore_best = true;    ///< model and optimizer end as they were after the best epoch
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
  std::optional<CheckpointPlan> checkpoint;
  std::optional<EarlyStoppingOptions> early_stopping;
};

}  // namespace densenet
