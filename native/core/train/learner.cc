#include "core/train/learner.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "core/data/images.h"
#include "core/engine/buffer.h"
#include "core/error.h"
#include "core/model/network.h"
#include "core/train/gradients.h"
#include "core/train/out_of_memory.h"
#include "core/train/precision.h"
#include "core/train/statistics.h"

namespace densenet {

namespace {

at::Generator make_generator(c10::Device device, std::uint64_t seed) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed);
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

[[noreturn]] void refuse_loss(const std::string& what) {
  throw Error(code::kNonFiniteLoss, what + "; the step was not taken. Lower the learning rate, or check the images.");
}

}  // namespace

std::uint64_t seed_of(const TrainerOptions& options) {
  if (options.seed) return *options.seed;
  return static_cast<std::uint64_t>(at::randint(INT64_MAX, {1}, at::kLong).item<std::int64_t>());
}

Learner::Learner(std::shared_ptr<Model> model, const TrainerOptions& options)
    : model_(std::move(model)),
      options_(options),
      device_(model_->device()),
      optimizer_(options.optimizer),
      loss_(options.loss, device_),
      average_(options.average),
      dropout_generator_(make_generator(device_, *options.seed + 1)),
      normalization_(model_->config(), device_) {}

void Learner::follow() {
  const NetworkImpl& network = model_->network();
  optimizer_.follow(network);
  parameters_ = network.parameters();
  buffers_ = network.buffers();
}

NetworkImpl& Learner::prepare_network() {
  NetworkImpl& network = model_->network();
  network.train_unfrozen();
  network.set_dropout_generator(dropout_generator_);
  return network;
}

StepResult Learner::step(std::span<const Batch> batches, bool pooled, const Rates& rates) {
  const at::Tensor drawn = model_->network().has_dropout() ? dropout_generator_.get_state() : at::Tensor();
  moving_ = false;
  std::exception_ptr failure;
  const auto attempt = [&]() -> std::optional<StepResult> {
    try {
      return try_step(batches, pooled, rates);
    } catch (...) {
      failure = std::current_exception();
    }
    // Out here, where the step's memory is free again.
    optimizer_.clear_gradients();  // of a part of the network, if any
    if (drawn.defined()) dropout_generator_.set_state(drawn);
    return std::nullopt;
  };
  if (const std::optional<StepResult> result = attempt()) return *result;
  // Buffers that were kept from earlier steps may have been in the way; no weight has moved yet.
  if (!moving_ && is_out_of_memory(failure) && engine::kept_buffers() > 0) {
    engine::release_buffers();
    if (const std::optional<StepResult> result = attempt()) return *result;
  }
  if (pooled) std::rethrow_exception(failure);
  rethrow_with_advice(failure, *model_, batches.front().images.sizes());
}

void Learner::check_memory(std::span<const Batch> batches) {
  for (const Batch& batch : batches) {
    const at::IntArrayRef images = batch.images.sizes();
    if (images == at::IntArrayRef(fitting_)) continue;
    refuse_beyond_memory(*model_, images);
    fitting_ = images.vec();
  }
}

StepResult Learner::try_step(std::span<const Batch> batches, bool pooled, const Rates& rates) {
  const Deterministic deterministic(options_.deterministic);
  optimizer_.clear_gradients();
  // What is kept in half precision is not predicted.
  if (!pooled && options_.precision == Precision::kFloat32) check_memory(batches);
  // Features that were computed before leave batch norm alone.
  std::optional<StatisticsGuard> statistics;
  if (!pooled) statistics.emplace(buffers_);
  double weight = 0.0;
  for (const Batch& batch : batches) weight += loss_.weight(batch.labels, model_->config().num_classes);
  prepare_network();
  at::Tensor sums;
  std::int64_t size = 0;
  for (const Batch& batch : batches) {
    const at::Tensor found = batches.size() == 1 && !pooled && StepGraphs::are_on(device_)
                                 ? replay(batch, weight)
                                 : add_gradients(batch.images, batch.labels, pooled, weight, &batch == &batches.back());
    if (sums.defined()) found.narrow(0, 0, 2).add_(sums);  // the last one's third number is of all batches
    sums = found;
    size += batch.size();
  }
  const at::Tensor read = sums.to(at::kCPU);
  const auto* numbers = read.const_data_ptr<double>();
  if (!std::isfinite(numbers[0])) refuse_loss("the loss became " + std::to_string(numbers[0]));
  const bool averaging = average_.options().kind == AverageOptions::Kind::kExponential;
  if (averaging) average_.reserve(model_->network());  // while nothing has moved
  const bool moved = move(rates, scales() ? 0.0 : numbers[2]);
  if (statistics) statistics->accept();
  if (moved && averaging) average_.update(model_->network());
  return {.loss = numbers[0], .correct = static_cast<std::int64_t>(numbers[1]), .size = size};
}

at::Tensor Learner::input_of(const at::Tensor& images, bool pooled) const {
  if (pooled) return images;
  const at::Tensor input = normalization_.apply(images);
  return options_.channels_last ? input.contiguous(at::MemoryFormat::ChannelsLast) : input;
}

at::Tensor Learner::add_gradients(const at::Tensor& images, const at::Tensor& labels, bool pooled, double weight,
                                  bool last) {
  NetworkImpl& network = model_->network();
  const at::Tensor input = input_of(images, pooled);
  at::Tensor logits;
  {
    const Autocast autocast(device_, options_.precision);
    logits = pooled ? network.classify(input) : network.forward(input);
  }
  const at::Tensor loss = loss_.sum(logits, labels) / weight;
  if (loss.requires_grad()) (scales() ? loss * scaler_.scale() : loss).backward();
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> numbers{loss.detach(), loss_.count_correct(logits, labels)};
  if (last && !scales()) numbers.push_back(norm_on_device(optimizer_.gradients(), device_));
  for (at::Tensor& number : numbers) number = number.to(at::kDouble);
  return at::stack(numbers);
}

at::Tensor Learner::replay(const Batch& batch, double weight) {
  // Numbers that go into the passes as such.
  const std::string key =
      model_->network().describe_modes() + ' ' + std::to_string(weight) + ' ' + std::to_string(scaler_.scale());
  return graphs_.run(key, {batch.images, batch.labels}, parameters_, buffers_, dropout_generator_,
                     [&](const std::vector<at::Tensor>& inputs) {
                       return add_gradients(inputs[0], inputs[1], /*pooled=*/false, weight, /*last=*/true);
                     });
}

bool Learner::move(const Rates& rates, double norm) {
  const torch::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = optimizer_.gradients();
  // Clipping is of the true gradients, so it comes after the scale is taken out of them, and once.
  if (scales()) {
    if (!scaler_.unscale(gradients)) {
      scaler_.update(/*taken=*/false);
      if (scaler_.exhausted()) refuse_loss("the gradients stay infinite at every scale");
      return false;
    }
    norm = norm_of(gradients);
  }
  if (!std::isfinite(norm)) refuse_loss("the gradients became infinite or NaN, although the loss was finite");
  if (options_.clip_value > 0.0) clip_value(gradients, options_.clip_value);
  if (options_.clip_norm > 0.0) {
    clip_norm(gradients, options_.clip_value > 0.0 ? norm_of(gradients) : norm, options_.clip_norm);
  }
  moving_ = true;
  optimizer_.step(rates);
  if (scales()) scaler_.update(/*taken=*/true);
  return true;
}

void Learner::save_state(TrainingState& state) const {
  for (const StateEntry& entry : state_of(model_->network())) state.emplace(entry.name, entry.tensor);
  optimizer_.save_state(state);
  average_.save_state(state);
  if (scales()) scaler_.save_state(state);
  state.emplace("trainer.generator.dropout", dropout_generator_.get_state());
}

void Learner::load_state(const TrainingState& state) {
  const torch::NoGradGuard no_grad;
  follow();
  const std::vector<StateEntry> entries = state_of(model_->network());
  for (const StateEntry& entry : entries) entry.tensor.copy_(entry_of(state, entry.name, entry.tensor.sizes()));
  optimizer_.load_state(state);
  average_.load_state(state, model_->network());
  if (scales()) scaler_.load_state(state);
  const at::Tensor own = dropout_generator_.get_state();
  dropout_generator_.set_state(entry_of(state, "trainer.generator.dropout", own.sizes()).to(at::kCPU));
}

}  // namespace densenet
