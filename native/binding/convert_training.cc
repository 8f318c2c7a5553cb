#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "binding/convert.h"
#include "binding/fields.h"

namespace densenet::binding {

namespace {

/// The value that a name stands for; TypeScript has checked that there is one.
template <class Value, std::size_t N>
Value named(const std::string& name, const std::array<std::pair<std::string_view, Value>, N>& values) {
  for (const auto& [known, value] : values) {
    if (known == name) return value;
  }
  return values.front().second;
}

OptimizerOptions to_optimizer_options(const Napi::Object& object) {
  using Kind = OptimizerOptions::Kind;
  OptimizerOptions options;
  options.kind = named<Kind, 4>(
      text(object, "type"),
      {{{"sgd", Kind::kSgd}, {"adam", Kind::kAdam}, {"adamw", Kind::kAdamW}, {"rmsprop", Kind::kRmsProp}}});
  options.learning_rate = number(object, "lr");
  options.weight_decay = number(object, "weightDecay");
  options.momentum = number(object, "momentum");
  options.dampening = number(object, "dampening");
  options.nesterov = boolean(object, "nesterov");
  const auto betas = numbers<double>(object.Get("betas"));
  options.beta1 = betas.at(0);
  options.beta2 = betas.at(1);
  options.amsgrad = boolean(object, "amsgrad");
  options.alpha = number(object, "alpha");
  options.centered = boolean(object, "centered");
  options.epsilon = number(object, "eps");
  options.decay_vectors = boolean(object, "decayNormsAndBiases");
  const auto groups = object.Get("groups").As<Napi::Array>();
  for (std::uint32_t index = 0; index < groups.Length(); ++index) {
    const auto group = groups.Get(index).As<Napi::Object>();
    options.groups.push_back({.prefix = text(group, "prefix"),
                              .learning_rate = number(group, "lr"),
                              .weight_decay = number(group, "weightDecay")});
  }
  return options;
}

LossOptions to_loss_options(const Napi::Object& object) {
  using Kind = LossOptions::Kind;
  LossOptions options;
  options.kind = named<Kind, 4>(text(object, "type"), {{{"crossEntropy", Kind::kCrossEntropy},
                                                        {"focal", Kind::kFocal},
                                                        {"binaryCrossEntropy", Kind::kBinary},
                                                        {"binaryFocal", Kind::kBinaryFocal}}});
  options.label_smoothing = number(object, "labelSmoothing");
  options.gamma = number(object, "gamma");
  options.alpha = number(object, "alpha");
  options.weight = numbers<double>(object.Get("weight"));
  return options;
}

AverageOptions to_average_options(const Napi::Object& object) {
  using Kind = AverageOptions::Kind;
  AverageOptions options;
  options.kind =
      named<Kind, 3>(text(object, "type"),
                     {{{"none", Kind::kNone}, {"exponential", Kind::kExponential}, {"stochastic", Kind::kStochastic}}});
  options.decay = number(object, "decay");
  options.first_epoch = integer(object, "from");
  options.learning_rate = number(object, "lr");
  return options;
}

CheckpointPlan to_checkpoint_plan(const Napi::Object& object) {
  using Best = CheckpointPlan::Best;
  return {.folder = text(object, "folder"),
          .every_epochs = integer(object, "every"),
          .every_steps = integer(object, "everySteps"),
          .keep_last = integer(object, "keepLast"),
          .best = named<Best, 3>(text(object, "best"),
                                 {{{"none", Best::kNone}, {"loss", Best::kLoss}, {"top1", Best::kTop1}}}),
          .continues = boolean(object, "continues"),
          .metadata = text(object, "metadata")};
}

}  // namespace

ScheduleOptions to_schedule_options(const Napi::Object& object) {
  using Kind = ScheduleOptions::Kind;
  ScheduleOptions options;
  options.kind = named<Kind, 9>(text(object, "type"), {{{"constant", Kind::kConstant},
                                                        {"step", Kind::kStep},
                                                        {"multistep", Kind::kMultiStep},
                                                        {"exponential", Kind::kExponential},
                                                        {"cosine", Kind::kCosine},
                                                        {"cosineRestarts", Kind::kCosineRestarts},
                                                        {"onecycle", Kind::kOneCycle},
                                                        {"polynomial", Kind::kPolynomial},
                                                        {"plateau", Kind::kPlateau}}});
  options.per_step = text(object, "interval") == "step";
  options.step_size = integer(object, "stepSize");
  options.milestones = numbers<std::int64_t>(object.Get("milestones"));
  options.gamma = number(object, "gamma");
  options.length = integer(object, "length");
  options.minimum = number(object, "minLr");
  options.period = integer(object, "period");
  options.period_factor = integer(object, "periodFactor");
  options.power = number(object, "power");
  options.one_cycle = {.rising = number(object, "rising"),
                       .start_divisor = number(object, "startDivisor"),
                       .end_divisor = number(object, "endDivisor"),
                       .linear = text(object, "shape") == "linear",
                       .three_phases = boolean(object, "threePhases"),
                       .cycle_momentum = boolean(object, "cycleMomentum"),
                       .low_momentum = number(object, "lowMomentum"),
                       .high_momentum = number(object, "highMomentum")};
  options.plateau = {.patience = integer(object, "patience"),
                     .cooldown = integer(object, "cooldown"),
                     .threshold = number(object, "threshold"),
                     .relative = text(object, "thresholdMode") == "relative",
                     .epsilon = number(object, "eps"),
                     .top1 = text(object, "monitor") == "top1"};
  const Napi::Object warm_up = object_in(object, "warmup");
  options.warm_up = {.length = integer(warm_up, "length"),
                     .start = number(warm_up, "start"),
                     .constant = text(warm_up, "type") == "constant"};
  return options;
}

TrainerOptions to_trainer_options(const Napi::Object& object) {
  TrainerOptions options;
  options.optimizer = to_optimizer_options(object_in(object, "optimizer"));
  options.schedule = to_schedule_options(object_in(object, "schedule"));
  options.loss = to_loss_options(object_in(object, "loss"));
  options.mixing = {.mixup = number(object, "mixup"), .cutmix = number(object, "cutmix")};
  options.average = to_average_options(object_in(object, "average"));
  options.precision = named<Precision, 3>(
      text(object, "precision"),
      {{{"fp32", Precision::kFloat32}, {"bf16", Precision::kBFloat16}, {"fp16", Precision::kFloat16}}});
  options.channels_last = boolean(object, "channelsLast");
  options.deterministic = boolean(object, "deterministic");
  options.clip_norm = number(object, "clipGradNorm");
  options.clip_value = number(object, "clipGradValue");
  options.accumulate = integer(object, "accumulate");
  options.seed = to_seed(object.Get("seed"));
  return options;
}

FitPlan to_fit_plan(const Napi::Object& object) {
  FitPlan plan;
  plan.epochs = integer(object, "epochs");
  plan.batch_size = integer(object, "batchSize");
  plan.smallest_batch = integer(object, "smallestBatch");
  plan.order =
      named<Order, 3>(text(object, "order"),
                      {{{"given", Order::kGiven}, {"shuffled", Order::kShuffled}, {"balanced", Order::kBalanced}}});
  plan.augmentations = to_augmentations(object.Get("augmentations").As<Napi::Array>());
  const auto parts = object.Get("unfreezing").As<Napi::Array>();
  for (std::uint32_t index = 0; index < parts.Length(); ++index) {
    const auto part = parts.Get(index).As<Napi::Object>();
    plan.unfreezing.push_back({.epoch = integer(part, "epoch"), .prefix = text(part, "prefix")});
  }
  plan.feature_cache_bytes = integer(object, "featureCacheBytes");
  const Napi::Value checkpoint = object.Get("checkpoint");
  if (checkpoint.IsObject()) plan.checkpoint = to_checkpoint_plan(checkpoint.As<Napi::Object>());
  const Napi::Value early_stopping = object.Get("earlyStopping");
  if (early_stopping.IsObject()) {
    const auto given = early_stopping.As<Napi::Object>();
    plan.early_stopping = {.top1 = boolean(given, "top1"),
                           .patience = integer(given, "patience"),
                           .min_delta = number(given, "minDelta"),
                           .restore_best = boolean(given, "restoreBest")};
  }
  return plan;
}

RateSearch to_rate_search(const Napi::Object& object) {
  RateSearch search{.lowest = number(object, "lowest"),
                    .highest = number(object, "highest"),
                    .steps = integer(object, "steps"),
                    .batch_size = integer(object, "batchSize"),
                    .smallest_batch = integer(object, "smallestBatch"),
                    .stop_factor = number(object, "stopFactor"),
                    .augmentations = {}};
  search.augmentations = to_augmentations(object.Get("augmentations").As<Napi::Array>());
  return search;
}

}  // namespace densenet::binding
