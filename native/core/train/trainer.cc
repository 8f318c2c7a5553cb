#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "core/data/batches.h"
#include "core/data/images.h"
#include "core/error.h"
#include "core/model/network.h"
#include "core/runtime/tensor_copy.h"
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

void check_dataset(const Dataset& dataset, const Model& model, const char* what) {
  check_finite(view_of(dataset.images), what);
  check_labels(view_of(dataset.labels), model.config().num_classes);
}

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

  StepResult train_on(const Batch& batch, double learning_rate);
  StepResult try_train_on(const Batch& batch, double learning_rate);
};

StepResult Trainer::State::train_on(const Batch& batch, double learning_rate) {
  std::exception_ptr failure;
  try {
    return try_train_on(batch, learning_rate);
  } catch (...) {
    failure = std::current_exception();
  }
  rethrow_with_advice(failure, *model, batch.images.sizes());  // out here, where the step's memory is free again
}

StepResult Trainer::State::try_train_on(const Batch& batch, double learning_rate) {
  NetworkImpl& network = model->network();
  network.train();
  network.set_dropout_generator(dropout_generator);
  const std::vector<at::Tensor> parameters = network.parameters();
  for (const at::Tensor& parameter : parameters) parameter.mutable_grad().reset();
  const at::Tensor logits = network.forward(to_network_input(batch.images, model->config()));
  const at::Tensor loss = at::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Mean, /*ignore_index=*/-100,
                                                 options.label_smoothing);
  const auto value = loss.item<double>();
  if (!std::isfinite(value)) {
    throw Error(code::kNonFiniteLoss, "the loss became " + std::to_string(value) +
                                          "; the step was not taken. Lower the learning rate, or check the images.");
  }
  if (loss.requires_grad()) loss.backward();
  optimizer.step(parameters, learning_rate);
  return {.loss = value, .correct = count_correct(logits, batch.labels), .size = batch.size()};
}

Trainer::Trainer(std::shared_ptr<Model> model, const TrainerOptions& options)
    : state_(std::make_unique<State>(std::move(model), options, options.seed ? *options.seed : draw_seed())) {}

Trainer::~Trainer() = default;

StepResult Trainer::step(const HostTensor& images, const HostTensor& labels) {
  const at::Tensor pixels = view_of(images);
  const at::Tensor classes = view_of(labels);
  check_finite(pixels, "images");
  check_labels(classes, state_->model->config().num_classes);
  const Batch batch{.images = pixels.to(state_->device), .labels = classes.to(state_->device, at::kLong)};
  return state_->train_on(batch, state_->options.optimizer.learning_rate);
}

bool Trainer::fit(const DatasetPtr& train, const DatasetPtr& validation, const FitPlan& plan, FitObserver& observer) {
  State& state = *state_;
  check_dataset(*train, *state.model, "training images");
  if (validation) check_dataset(*validation, *state.model, "validation images");
  DatasetBatches batches(train, plan.batch_size, plan.smallest_batch, state.device);
  for (std::int64_t epoch = 0; epoch < plan.epochs; ++epoch) {
    const double rate =
        learning_rate_at(state.options.schedule, state.options.optimizer.learning_rate, epoch, plan.epochs);
    const Clock::time_point start = Clock::now();
    MetricsSum sum;
    std::int64_t images = 0;
    batches.start_epoch(plan.shuffle ? &state.data_generator : nullptr);
    for (std::int64_t step = 1; step <= batches.steps(); ++step) {
      if (observer.stop_requested()) return false;
      std::optional<Batch> batch = batches.next();
      batch->images = augment(batch->images, plan.augmentations, state.data_generator);
      const StepResult result = state.train_on(*batch, rate);
      sum.add(result.loss, result.correct, result.size);
      images += result.size;
      observer.on_step({.epoch = epoch + 1,
                        .step = step,
                        .steps = batches.steps(),
                        .loss = result.loss,
                        .learning_rate = rate,
                        .images_per_second = static_cast<double>(images) / seconds_since(start)});
      observer.pause();
    }
    EpochEvent event{.epoch = epoch + 1, .train = sum.result(), .validation = {}, .seconds = 0.0};
    if (validation) {
      const auto found = evaluate(validation, plan.batch_size, [&] { return observer.stop_requested(); });
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
  const torch::NoGradGuard no_grad;
  NetworkImpl& network = state_->model->network();
  const ModelConfig& config = state_->model->config();
  check_dataset(*dataset, *state_->model, "images");
  DatasetBatches batches(dataset, batch_size, 1, state_->device);
  EvaluationSum sum(config.num_classes);
  network.eval();
  batches.start_epoch(nullptr);
  while (const std::optional<Batch> batch = batches.next()) {
    if (stop()) return std::nullopt;
    sum.add(network.forward(to_network_input(batch->images, config)), batch->labels);
  }
  return sum.result();
}

}  // namespace densenet
