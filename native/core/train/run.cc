#include "core/train/run.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <utility>
#include <vector>

#include "core/data/augmentation.h"
#include "core/data/images.h"
#include "core/error.h"
#include "core/model/network.h"
#include "core/train/evaluate.h"
#include "core/train/norm_averaging.h"
#include "core/train/vary.h"

namespace densenet {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::int64_t steps_of(std::int64_t batches, std::int64_t accumulate) { return (batches + accumulate - 1) / accumulate; }

/// Refuses a place in the middle of an epoch of other batches: it would mean other images.
void check_shape(const Progress& progress, const EpochShape& shape) {
  if (progress.batches == 0 || progress.shape == shape) return;
  const auto show = [](const EpochShape& one) {
    return std::to_string(one.images) + " images in batches of " + std::to_string(one.batch_size) + ", " +
           std::to_string(one.accumulate) + " a step";
  };
  throw Error(code::kCheckpointMismatch, "the checkpoint is from the middle of an epoch of " + show(progress.shape) +
                                             ", and this run has " + show(shape) +
                                             ". Go on with the same data and options.");
}

}  // namespace

TrainingState training_state(const Learner& learner, const Progress& progress, const at::Generator& data_generator) {
  TrainingState state;
  learner.save_state(state);
  progress.save_state(state);
  state.emplace("trainer.generator.data", data_generator.get_state());
  return state;
}

Run::Run(const Parts& parts)
    : parts_(parts),
      schedule_(
          parts.options.schedule, parts.learner.optimizer().base_rates(),
          {.epochs = parts.plan.epochs, .steps = steps_of(parts.train.images().steps(), parts.options.accumulate)}) {
  Progress& progress = parts_.progress;
  const EpochShape shape{.images = parts.train.images().size(),
                         .batch_size = parts.plan.batch_size,
                         .accumulate = parts.options.accumulate};
  check_shape(progress, shape);
  if (!progress.schedule.empty()) schedule_.load_state(progress.schedule);
  progress.shape = shape;
  if (parts.plan.early_stopping) {
    early_stopping_.emplace(*parts.plan.early_stopping);
    if (!progress.early_stopping.empty()) early_stopping_->load_state(progress.early_stopping);
  }
  if (parts.plan.checkpoint) open_folder();
}

void Run::open_folder() {
  const std::string& path = parts_.plan.checkpoint->folder;
  folder_.emplace(path);
  const std::string newest = folder_->newest();
  if (newest.empty() || parts_.plan.checkpoint->continues) return;
  throw Error(code::kInvalidArgument, "checkpoint.folder " + path + " holds the checkpoints of an earlier run (" +
                                          newest + "), which this one would replace. Go on from them by " +
                                          "trainer.resume, or give each run a folder of its own.");
}

std::int64_t Run::steps() const { return steps_of(parts_.train.batches().steps(), parts_.options.accumulate); }

Rates Run::rates() const {
  Rates rates = schedule_.at(parts_.progress.epoch - 1, parts_.progress.steps);
  const AverageOptions& average = parts_.options.average;
  const bool averaging =
      average.kind == AverageOptions::Kind::kStochastic && parts_.progress.epoch >= average.first_epoch;
  if (averaging && average.learning_rate > 0.0) {
    for (double& rate : rates.learning_rates) rate = average.learning_rate;
  }
  return rates;
}

bool Run::go() {
  const Progress& progress = parts_.progress;
  // Those of the epochs before, which a run that goes on has not seen.
  for (const Unfreezing& part : parts_.plan.unfreezing) {
    if (part.epoch < progress.epoch) parts_.learner.model().set_trainable(part.prefix, true, false);
  }
  while (progress.epoch <= parts_.plan.epochs && !ended_early()) {
    if (stopped() || !train_epoch() || !finish_epoch()) return finish_stopped();
  }
  finish_early_stopping();
  return finish_average();
}

void Run::finish_early_stopping() {
  if (!early_stopping_ || early_stopping_->best_epoch() == 0) return;
  const std::int64_t epoch = parts_.progress.epoch - 1;
  parts_.observer.on_early_stopping({.epoch = epoch,
                                     .best_epoch = early_stopping_->best_epoch(),
                                     .value = early_stopping_->best_value(),
                                     .stopped = epoch < parts_.plan.epochs,
                                     .restored = early_stopping_->restore(parts_.learner)});
}

bool Run::finish_stopped() {
  if (folder_ && unsaved_ && !parts_.observer.abandoned()) save(/*best=*/false);
  return false;
}

bool Run::train_epoch() {
  Progress& progress = parts_.progress;
  const FitPlan& plan = parts_.plan;
  for (const Unfreezing& part : plan.unfreezing) {
    if (part.epoch == progress.epoch) parts_.learner.model().set_trainable(part.prefix, true, false);
  }
  epoch_start_ = Clock::now();
  // Images that are augmented or mixed differ from epoch to epoch, and so do their features.
  const bool varied = !plan.augmentations.empty() || parts_.options.mixing.any();
  const auto stop = [this] { return stopped(); };
  if (!parts_.train.prepare_features(parts_.learner.model(), varied ? 0 : plan.feature_cache_bytes, stop)) return false;
  const bool pooled = parts_.train.features().has_value();
  begin_batches();
  std::int64_t images = 0;
  while (progress.batches < parts_.train.batches().steps()) {
    if (stopped()) return false;
    const Rates now = rates();
    const std::optional<StepResult> result = step(pooled, now);
    if (!result && stopped()) return false;
    if (!result) break;
    progress.add(*result);
    unsaved_ = true;
    images += result->size;
    parts_.observer.on_step({.epoch = progress.epoch,
                             .step = progress.steps,
                             .steps = steps(),
                             .loss = result->loss,
                             .learning_rate = now.learning_rates.front(),
                             .images_per_second = static_cast<double>(images) / seconds_since(epoch_start_)});
    const std::int64_t every = folder_ ? plan.checkpoint->every_steps : 0;
    if (every > 0 && progress.steps % every == 0 && progress.steps < steps()) save(/*best=*/false);
    parts_.observer.pause();
  }
  return true;
}

void Run::begin_batches() {
  Progress& progress = parts_.progress;
  at::Generator& generator = parts_.data_generator;
  BatchSource& batches = parts_.train.batches();
  const auto start = [&] { batches.start_epoch(draw_order(parts_.plan.order, parts_.train.labels(), generator)); };
  if (!progress.epoch_generator.defined()) {
    progress.epoch_generator = generator.get_state();
    start();
    return;
  }
  // The epoch's order is drawn again, and then the batches that were had are passed over.
  const at::Tensor now = generator.get_state();
  generator.set_state(progress.epoch_generator);
  start();
  generator.set_state(now);
  for (std::int64_t index = 0; index < progress.batches; ++index) batches.skip();
}

Batch Run::prepare(Batch batch, bool pooled) {
  if (pooled) return batch;
  return vary(std::move(batch), parts_.plan.augmentations, parts_.options.mixing, parts_.learner.model().config(),
              parts_.data_generator);
}

std::optional<StepResult> Run::step(bool pooled, const Rates& rates) {
  std::vector<Batch> batches;
  BatchSource& source = parts_.train.batches();
  while (std::cmp_less(batches.size(), parts_.options.accumulate)) {
    std::optional<Batch> batch = source.next();
    if (!batch && stopped()) return std::nullopt;  // while it waited for a feed
    if (!batch) break;
    batches.push_back(std::move(*batch));
  }
  // Only now does anything draw: whoever saved while a batch was waited for has the state before this step. And a step
  // that fails is drawn again when the run goes on.
  const at::Tensor before = parts_.data_generator.get_state();
  try {
    for (Batch& batch : batches) batch = prepare(std::move(batch), pooled);
    std::optional<StepResult> result;
    if (!batches.empty()) result = parts_.learner.step(batches, pooled, rates);
    parts_.progress.batches = source.position();
    return result;
  } catch (...) {
    parts_.data_generator.set_state(before);
    throw;
  }
}

bool Run::evaluate_epoch(EpochEvent& event) {
  if (parts_.validation == nullptr) return true;
  RunData& data = *parts_.validation;
  const Model& model = parts_.learner.model();
  const auto stop = [this] { return stopped(); };
  const auto use = parts_.learner.average().use(model.network());  // whose features may be others
  if (!use && !data.prepare_features(model, parts_.plan.feature_cache_bytes, stop)) return false;
  const bool pooled = !use && data.features();
  BatchSource& batches = pooled ? *data.features() : data.images();
  EvaluationOptions options;
  options.multi_label = parts_.options.loss.binary();
  const auto found = evaluate(model, batches, pooled, options, stop);
  if (found) event.validation = found->metrics;
  return found.has_value();
}

bool Run::finish_epoch() {
  Progress& progress = parts_.progress;
  EpochEvent event{.epoch = progress.epoch, .train = progress.metrics(), .validation = {}, .seconds = 0.0};
  if (!evaluate_epoch(event)) return false;
  const Metrics& decisive = event.validation ? *event.validation : event.train;
  schedule_.observe(decisive);
  progress.schedule.clear();
  schedule_.save_state(progress.schedule);
  WeightAverage& average = parts_.learner.average();
  if (average.options().kind == AverageOptions::Kind::kStochastic && progress.epoch >= average.options().first_epoch) {
    average.update(parts_.learner.model().network());
  }
  if (early_stopping_) {
    early_stopping_->observe(progress.epoch, decisive, parts_.learner);
    progress.early_stopping.clear();
    early_stopping_->save_state(progress.early_stopping);
  }
  const bool best = is_best(decisive);
  progress.begin_next_epoch();
  unsaved_ = true;
  event.seconds = seconds_since(epoch_start_);
  parts_.observer.on_epoch(event);
  if (!folder_) return true;
  const std::int64_t every = parts_.plan.checkpoint->every_epochs;
  const bool last = event.epoch == parts_.plan.epochs || ended_early();
  const bool due = every > 0 && (event.epoch % every == 0 || last);
  if (due) {
    save(best);
  } else if (best) {
    const TrainingState state = training_state(parts_.learner, progress, parts_.data_generator);
    folder_->save_best(state, parts_.plan.checkpoint->metadata);
    const std::string path = parts_.plan.checkpoint->folder + "/best.safetensors";
    parts_.observer.on_checkpoint({.path = path, .epoch = event.epoch, .best = true});
  }
  return true;
}

bool Run::is_best(const Metrics& metrics) {
  if (!folder_ || parts_.plan.checkpoint->best == CheckpointPlan::Best::kNone) return false;
  const bool by_loss = parts_.plan.checkpoint->best == CheckpointPlan::Best::kLoss;
  const double value = by_loss ? -metrics.loss : metrics.top1;
  if (parts_.progress.best && value <= *parts_.progress.best) return false;
  parts_.progress.best = value;
  return true;
}

void Run::save(bool best) {
  const Progress& progress = parts_.progress;
  const CheckpointPlan& plan = *parts_.plan.checkpoint;
  const bool between = progress.steps == 0;
  const std::int64_t epoch = between ? progress.epoch - 1 : progress.epoch;
  const TrainingState state = training_state(parts_.learner, progress, parts_.data_generator);
  const std::string path = folder_->save(state, plan.metadata, epoch, progress.steps, plan.keep_last);
  if (best) folder_->save_best(state, plan.metadata);
  unsaved_ = false;
  parts_.observer.on_checkpoint({.path = path, .epoch = epoch, .best = best});
}

bool Run::finish_average() {
  WeightAverage& average = parts_.learner.average();
  if (average.options().kind != AverageOptions::Kind::kStochastic || !average.begun() || average.ready()) return true;
  const torch::NoGradGuard no_grad;
  const NetworkImpl& network = parts_.learner.model().network();
  WeightAverage::Use use(average, network);
  NormAveraging norms(network);
  BatchSource& images = parts_.train.images();
  images.start_epoch(draw_order(parts_.plan.order, parts_.train.labels(), parts_.data_generator));
  while (std::optional<Batch> batch = images.next()) {
    if (stopped()) return false;
    const at::Tensor changed = augment(batch->images, parts_.plan.augmentations, parts_.data_generator);
    norms.begin_batch();
    parts_.learner.prepare_network().forward(to_network_input(changed, parts_.learner.model().config()));
  }
  if (stopped()) return false;
  use.statistics_taken();
  return true;
}

}  // namespace densenet
