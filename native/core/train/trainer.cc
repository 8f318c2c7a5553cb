#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/data/batches.h"
#include "core/data/feed_batches.h"
#include "core/data/images.h"
#include "core/error.h"
#include "core/model/network.h"
#include "core/runtime/tensor_copy.h"
#include "core/train/feature_cache.h"
#include "core/train/optimizer.h"
#include "core/train/out_of_memory.h"
#include "core/train/schedule.h"

namespace densenet {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A seed for a run without one, from libtorch's default generator, so that `manualSeed` decides it too.
std::uint64_t draw_seed() {
  return static_cast<std::uint64_t>(at::randint(INT64_MAX, {1}, at::kLong).item<std::int64_t>());
}

at::Generator make_generator(c10::Device device, std::uint64_t seed) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed);
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

void check_dataset(const Dataset& dataset, const Model& model, const char* images, const char* labels) {
  if (!dataset.feed) check_finite(view_of(dataset.images), images);  // a feed's are checked as they come
  check_labels(view_of(dataset.labels), model.config().num_classes, labels);
}

/// The rates of an epoch, group by group.
std::vector<double> rates_at(const ScheduleOptions& schedule, std::vector<double> rates, std::int64_t epoch,
                             std::int64_t epochs) {
  for (double& rate : rates) rate = learning_rate_at(schedule, rate, epoch, epochs);
  return rates;
}

/// Where a data set's batches come from in a run: from its images, or from the features that were computed once.
class RunData {
 public:
  RunData(const Dataset& dataset, std::int64_t batch_size, std::int64_t smallest, c10::Device device,
          const Patience& patience)
      : labels_(view_of(dataset.labels)), batch_size_(batch_size), smallest_(smallest), device_(device) {
    if (dataset.feed) {
      images_ = std::make_unique<FeedBatches>(dataset.feed, labels_, batch_size, smallest, device, patience);
    } else {
      images_ = std::make_unique<TensorBatches>(view_of(dataset.images), labels_, batch_size, smallest, device);
    }
  }

  BatchSource& images() { return *images_; }

  [[nodiscard]] const at::Tensor& labels() const { return labels_; }

  /// The batches of the features, once they were kept.
  std::optional<TensorBatches>& features() { return features_; }

  void keep(at::Tensor features) { features_.emplace(std::move(features), labels_, batch_size_, smallest_, device_); }

 private:
  at::Tensor labels_;
  std::int64_t batch_size_;
  std::int64_t smallest_;
  c10::Device device_;
  std::unique_ptr<BatchSource> images_;
  std::optional<TensorBatches> features_;
};

/// Batch norm's statistics as they were before a step: forward has moved them when the loss turns out not to be finite,
/// and one NaN in them would stay in every later prediction.
class Statistics {
 public:
  explicit Statistics(const NetworkImpl& network) : buffers_(network.buffers()) {
    copies_.reserve(buffers_.size());
    for (const at::Tensor& buffer : buffers_) copies_.push_back(buffer.clone());
  }

  void restore() const {
    for (std::size_t index = 0; index < buffers_.size(); ++index) buffers_[index].copy_(copies_[index]);
  }

 private:
  std::vector<at::Tensor> buffers_;
  std::vector<at::Tensor> copies_;
};

}  // namespace

struct Trainer::State {
  std::shared_ptr<Model> model;
  TrainerOptions options;
  Optimizer optimizer;
  c10::Device device;
  at::Generator data_generator;     // order of the images and augmentation; on the CPU
  at::Generator dropout_generator;  // on the device

  State(std::shared_ptr<Model> trained, const TrainerOptions& given, std::uint64_t seed)
      : model(std::move(trained)),
        options(given),
        optimizer(given.optimizer),
        device(model->device()),
        data_generator(at::make_generator<at::CPUGeneratorImpl>(seed)),
        dropout_generator(make_generator(device, seed + 1)) {}

  /// The logits of a batch of images in training mode.
  at::Tensor forward(const Batch& batch) const;
  /// Loss, backward pass and optimizer step for logits; `before`, if any, is put back where the step is not taken.
  StepResult learn(const at::Tensor& logits, const at::Tensor& labels, const std::vector<double>& rates,
                   const std::optional<Statistics>& before);
  StepResult train_on(const Batch& batch, bool pooled, const std::vector<double>& rates);
  StepResult try_train_on(const Batch& batch, bool pooled, const std::vector<double>& rates);

  /// Makes the features ready where they can be kept. Returns false when it was stopped.
  bool prepare_features(RunData& data, std::int64_t most_bytes, const std::function<bool()>& stop) const;
  void unfreeze(const FitPlan& plan, std::int64_t epoch) const;
  std::optional<Evaluation> evaluate(BatchSource& source, bool pooled, const std::function<bool()>& stop) const;
};

at::Tensor Trainer::State::forward(const Batch& batch) const {
  NetworkImpl& network = model->network();
  network.train_unfrozen();
  network.set_dropout_generator(dropout_generator);
  return network.forward(to_network_input(batch.images, model->config()));
}

StepResult Trainer::State::train_on(const Batch& batch, bool pooled, const std::vector<double>& rates) {
  std::exception_ptr failure;
  try {
    return try_train_on(batch, pooled, rates);
  } catch (...) {
    failure = std::current_exception();
  }
  if (pooled) std::rethrow_exception(failure);
  rethrow_with_advice(failure, *model, batch.images.sizes());  // out here, where the step's memory is free again
}

StepResult Trainer::State::try_train_on(const Batch& batch, bool pooled, const std::vector<double>& rates) {
  optimizer.clear_gradients();
  if (pooled) return learn(model->network().classify(batch.images), batch.labels, rates, {});  // moves no statistics
  const std::optional<Statistics> before(model->network());
  return learn(forward(batch), batch.labels, rates, before);
}

StepResult Trainer::State::learn(const at::Tensor& logits, const at::Tensor& labels, const std::vector<double>& rates,
                                 const std::optional<Statistics>& before) {
  const at::Tensor loss =
      at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, /*ignore_index=*/-100, options.label_smoothing);
  const auto value = loss.item<double>();
  if (!std::isfinite(value)) {
    if (before) before->restore();
    throw Error(code::kNonFiniteLoss, "the loss became " + std::to_string(value) +
                                          "; the step was not taken. Lower the learning rate, or check the images.");
  }
  if (loss.requires_grad()) loss.backward();
  optimizer.step(rates);
  return {.loss = value, .correct = count_correct(logits, labels), .size = labels.size(0)};
}

bool Trainer::State::prepare_features(RunData& data, std::int64_t most_bytes, const std::function<bool()>& stop) const {
  NetworkImpl& network = model->network();
  const bool fixed = network.features_are_fixed();
  if (!fixed) data.features().reset();
  const std::int64_t bytes = data.images().size() * network.feature_channels() * std::int64_t{sizeof(float)};
  if (!fixed || data.features() || bytes > most_bytes) return true;
  std::optional<at::Tensor> features = compute_features(network, model->config(), data.images(), stop);
  // Where a feed left images out the rows are not the labels' any longer.
  if (features && features->size(0) == data.images().size()) data.keep(std::move(*features));
  return features.has_value();
}

void Trainer::State::unfreeze(const FitPlan& plan, std::int64_t epoch) const {
  for (const Unfreezing& part : plan.unfreezing) {
    if (part.epoch == epoch) model->set_trainable(part.prefix, true, false);
  }
}

std::optional<Evaluation> Trainer::State::evaluate(BatchSource& source, bool pooled,
                                                   const std::function<bool()>& stop) const {
  const torch::NoGradGuard no_grad;
  NetworkImpl& network = model->network();
  const ModelConfig& config = model->config();
  EvaluationSum sum(config.num_classes);
  network.eval();
  source.start_epoch({});
  while (const std::optional<Batch> batch = source.next()) {
    if (stop()) return std::nullopt;
    sum.add(pooled ? network.classify(batch->images) : network.forward(to_network_input(batch->images, config)),
            batch->labels);
  }
  if (stop()) return std::nullopt;  // a feed's batches end with the waiting for them, too
  return sum.result();
}

Trainer::Trainer(std::shared_ptr<Model> model, const TrainerOptions& options)
    : state_(std::make_unique<State>(std::move(model), options, options.seed ? *options.seed : draw_seed())) {}

Trainer::~Trainer() = default;

StepResult Trainer::step(const HostTensor& images, const HostTensor& labels) {
  State& state = *state_;
  const at::Tensor pixels = view_of(images);
  const at::Tensor classes = view_of(labels);
  check_finite(pixels, "images");
  check_labels(classes, state.model->config().num_classes, "labels");
  const Batch batch{.images = pixels.to(state.device), .labels = classes.to(state.device, at::kLong)};
  state.optimizer.follow(state.model->network());
  return state.train_on(batch, /*pooled=*/false, state.optimizer.base_rates());
}

bool Trainer::fit(const DatasetPtr& train, const DatasetPtr& validation, const FitPlan& plan, FitObserver& observer) {
  State& state = *state_;
  const auto stop = [&] { return observer.stop_requested(); };
  check_dataset(*train, *state.model, "training images", "training labels");
  if (validation) check_dataset(*validation, *state.model, "validation images", "validation labels");
  state.optimizer.follow(state.model->network());
  const Patience patience{.stop = stop, .pause = [&] { observer.pause(); }};
  RunData data(*train, plan.batch_size, plan.smallest_batch, state.device, patience);
  std::optional<RunData> held;
  if (validation) held.emplace(*validation, plan.batch_size, 1, state.device, patience);
  for (std::int64_t epoch = 0; epoch < plan.epochs; ++epoch) {
    if (stop()) return false;
    state.unfreeze(plan, epoch + 1);
    const std::vector<double> rates =
        rates_at(state.options.schedule, state.optimizer.base_rates(), epoch, plan.epochs);
    const Clock::time_point start = Clock::now();
    // Augmented images differ from epoch to epoch, and so do their features.
    const std::int64_t most_bytes = plan.augmentations.empty() ? plan.feature_cache_bytes : 0;
    if (!state.prepare_features(data, most_bytes, stop)) return false;
    const bool pooled = data.features().has_value();
    BatchSource& batches = pooled ? *data.features() : data.images();
    MetricsSum sum;
    std::int64_t images = 0;
    batches.start_epoch(draw_order(plan.order, data.labels(), state.data_generator));
    for (std::int64_t step = 1; !stop(); ++step) {
      std::optional<Batch> batch = batches.next();
      if (!batch) break;
      if (!pooled) batch->images = augment(batch->images, plan.augmentations, state.data_generator);
      const StepResult result = state.train_on(*batch, pooled, rates);
      sum.add(result.loss, result.correct, result.size);
      images += result.size;
      observer.on_step({.epoch = epoch + 1,
                        .step = step,
                        .steps = batches.steps(),
                        .loss = result.loss,
                        .learning_rate = rates.front(),
                        .images_per_second = static_cast<double>(images) / seconds_since(start)});
      observer.pause();
    }
    if (stop()) return false;
    EpochEvent event{.epoch = epoch + 1, .train = sum.result(), .validation = {}, .seconds = 0.0};
    if (held) {
      if (!state.prepare_features(*held, plan.feature_cache_bytes, stop)) return false;
      const bool kept = held->features().has_value();
      const auto found = state.evaluate(kept ? *held->features() : held->images(), kept, stop);
      if (!found) return false;
      event.validation = found->metrics;
    }
    event.seconds = seconds_since(start);
    observer.on_epoch(event);
  }
  return true;
}

std::optional<Evaluation> Trainer::evaluate(const DatasetPtr& dataset, std::int64_t batch_size,
                                            const std::function<bool()>& stop) {
  check_dataset(*dataset, *state_->model, "images", "labels");
  RunData data(*dataset, batch_size, 1, state_->device, {.stop = stop});
  return state_->evaluate(data.images(), /*pooled=*/false, stop);
}

}  // namespace densenet
