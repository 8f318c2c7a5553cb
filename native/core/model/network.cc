#include "core/model/network.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/engine/buffer.h"
#include "core/engine/cuda/autocast.h"
#include "core/engine/cuda/gate.h"
#include "core/engine/memory_plan.h"
#include "core/model/initialization.h"
#include "core/model/names.h"
#include "core/runtime/device.h"
#include "core/runtime/free_memory.h"

namespace densenet {

namespace {

void collect(const torch::nn::Module& module, const std::string& prefix, std::vector<StateEntry>& entries) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    entries.push_back({.name = prefix + item.key(), .tensor = item.value(), .is_parameter = true});
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    entries.push_back({.name = prefix + item.key(), .tensor = item.value(), .is_parameter = false});
  }
  for (const auto& child : module.named_children()) collect(*child.value(), prefix + child.key() + ".", entries);
}

}  // namespace

NetworkImpl::NetworkImpl(const ModelConfig& config)
    : config_(config), dropout_(std::make_shared<Dropout>()), initialization_(config.initialization) {
  dropout_->rate = config.drop_rate;
  features_ = register_module("features", Features(config, dropout_));
  classifier_ = register_module("classifier", torch::nn::Linear(features_->out_channels(), config.num_classes));
  for (const auto& item : named_modules(/*name_prefix=*/"", /*include_self=*/false)) {
    const auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(item.value());
    if (norm) norms_.push_back({.name = item.key(), .module = norm});
  }
}

bool NetworkImpl::engine_covers(const at::Tensor& images) const {
  if (run_options_.implementation == Implementation::kReference) return false;
  if (images.is_cpu()) {
    if (at::autocast::is_autocast_enabled(at::kCPU)) return false;  // the CPU's engine computes in float32 alone
    if (images.scalar_type() != at::kFloat && images.scalar_type() != at::kDouble) return false;
  } else if (!engine::cuda::covers(images.device(), engine::cuda::block_type(images))) {
    return false;
  }
  return is_training() ? features_->pixels_left(images.size(0), images.size(2), images.size(3)) > 1
                       : !at::GradMode::is_enabled();
}

std::int64_t NetworkImpl::count_learning() const {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : parameters()) count += parameter.requires_grad() ? parameter.numel() : 0;
  return count;
}

bool NetworkImpl::keeps_products(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  if (run_options_.memory != MemoryMode::kAuto) return run_options_.memory == MemoryMode::kFast;
  const c10::Device device = classifier_->weight.device();
  const std::array<std::int64_t, 3> size{batch, height, width};
  if (const auto decided = kept_on_device_.find(size); decided != kept_on_device_.end()) return decided->second;
  const engine::TrainingMemory memory =
      engine::predict_training_memory(config_, batch, height, width, count_learning());
  // Not worth asking the system, which takes as long as a small step.
  constexpr std::int64_t kLittle = 128'000'000;
  if (memory.fast < kLittle) return true;
  const std::int64_t free = device.is_cpu() ? free_memory() : free_device_memory(device);
  // A fifth is left for whatever else the process does.
  const bool keeps = free == 0 || memory.fast < (free + engine::kept_buffers()) / 5 * 4;
  // libtorch holds on to a device's memory, so what is free later says less; and a step that is recorded cannot ask.
  if (!device.is_cpu()) kept_on_device_.emplace(size, keeps);
  return keeps;
}

std::int64_t NetworkImpl::predict_memory(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  if (run_options_.implementation == Implementation::kReference) {
    // Not as exact as for the engine: the gradients on their way took up to 0.84 of what is kept where it was measured.
    constexpr std::int64_t kLoaded = 24'000'000;  // code of libtorch that the first step brings into memory
    std::int64_t kept = 0;
    for (const std::int64_t part : modules_kept_memory(config_, batch, height, width)) kept += part;
    return kLoaded + (2 * kept) + (2 * count_learning() * std::int64_t{sizeof(float)});
  }
  const engine::TrainingMemory memory =
      engine::predict_training_memory(config_, batch, height, width, count_learning());
  return keeps_products(batch, height, width) ? memory.fast : memory.efficient;
}

std::vector<PartPlan> NetworkImpl::plan_step(std::int64_t batch, std::int64_t height, std::int64_t width) {
  train_unfrozen();
  const std::vector<std::string> names = part_names(config_);
  const std::vector<FeaturesImpl::PartWay> ways = features_->training_ways();
  const auto on_modules = modules_kept_memory(config_, batch, height, width);
  const auto on_engine =
      engine::predict_kept_memory(config_, batch, height, width, keeps_products(batch, height, width));
  PartRun whole = PartRun::kEngine;
  if (run_options_.implementation == Implementation::kReference) {
    whole = PartRun::kReference;
  } else if (!classifier_->weight.is_cpu() && !engine::cuda::covers(classifier_->weight.device(), at::kFloat)) {
    whole = PartRun::kDevice;
  } else if (features_->pixels_left(batch, height, width) <= 1) {
    whole = PartRun::kTooSmall;
  }
  std::vector<PartPlan> parts;
  for (std::size_t index = 0; index < ways.size(); ++index) {
    const FeaturesImpl::PartWay& way = ways[index];
    const bool decided = whole != PartRun::kEngine && way.run != PartRun::kOperator;
    const PartRun run = decided ? whole : way.run;
    const bool lean = run == PartRun::kEngine || run == PartRun::kOperator;
    const std::int64_t kept = lean ? on_engine[index] : on_modules[index];
    parts.push_back({.name = names[index], .run = run, .kept = way.learns ? kept : 0});
  }
  const bool learns = classifier_->weight.requires_grad();
  const std::int64_t pooled = batch * feature_channels() * std::int64_t{sizeof(float)};
  parts.push_back({.name = names.back(), .run = PartRun::kOperator, .kept = learns ? pooled : 0});
  return parts;
}

at::Tensor NetworkImpl::forward(const at::Tensor& images, const Tap& tap) {
  return classify(pooled_features(images, tap));
}

at::Tensor NetworkImpl::pooled_features(const at::Tensor& images, const Tap& tap) {
  if (engine_covers(images)) {
    if (!tap) {
      const bool keep = is_training() && keeps_products(images.size(0), images.size(2), images.size(3));
      return features_->forward_pooled(images, keep);
    }
    if (!is_training()) {
      const at::Tensor output = features_->forward_blocks(images, tap).relu_();
      return at::adaptive_avg_pool2d(output, {1, 1}).flatten(1);
    }
  }
  const at::Tensor output = features_->forward(images, tap).relu_();
  return at::adaptive_avg_pool2d(output, {1, 1}).flatten(1);
}

at::Tensor NetworkImpl::forward_modules(const at::Tensor& images, const Tap& tap) {
  const at::Tensor features = features_->forward(images, tap).relu();
  tap("relu5", features);  // the one that goes on; the tap's own was a copy
  return classify(at::adaptive_avg_pool2d(features, {1, 1}).flatten(1));
}

void NetworkImpl::train_unfrozen() {
  const auto trains = [](const Norm& norm) { return norm.module->weight.requires_grad() || norm.adapting; };
  // Modes are only ever set for the whole network, and here; setting them walks all of it, which a small step would
  // feel.
  if (is_training() &&
      std::ranges::all_of(norms_, [&](const Norm& norm) { return norm.module->is_training() == trains(norm); })) {
    return;
  }
  train();
  for (const Norm& norm : norms_) {
    if (!trains(norm)) norm.module->eval();
  }
}

std::string NetworkImpl::describe_modes() const {
  std::string modes;
  for (const Norm& norm : norms_) modes += norm.module->is_training() ? 't' : 'e';
  return modes;
}

void NetworkImpl::set_adapting(const std::string& prefix, bool adapting) {
  for (Norm& norm : norms_) {
    if (is_below(norm.name, prefix)) norm.adapting = adapting;
  }
}

bool NetworkImpl::features_are_fixed() const {
  const std::vector<at::Tensor> parameters = features_->parameters();
  return !has_dropout() &&
         std::ranges::none_of(parameters, [](const at::Tensor& one) { return one.requires_grad(); }) &&
         std::ranges::none_of(norms_, &Norm::adapting);
}

void NetworkImpl::replace_classifier(std::int64_t num_classes, std::optional<at::Generator> generator) {
  const at::TensorOptions options = classifier_->weight.options();
  torch::nn::Linear classifier(features_->out_channels(), num_classes);
  initialize_linear(*classifier, initialization_, std::move(generator));
  classifier->to(options.device());
  classifier_ = replace_module("classifier", classifier);
}

void NetworkImpl::initialize(const std::optional<at::Generator>& generator) {
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* convolution = module->as<torch::nn::Conv2d>()) {
      initialize_convolution(*convolution, initialization_, generator);
    } else if (auto* linear = module->as<torch::nn::Linear>()) {
      initialize_linear(*linear, initialization_, generator);
    }  // batch norm starts as libtorch makes it: weight 1, bias 0, running mean 0 and variance 1
  }
}

std::vector<StateEntry> state_of(const torch::nn::Module& module) {
  std::vector<StateEntry> entries;
  collect(module, "", entries);
  return entries;
}

}  // namespace densenet
