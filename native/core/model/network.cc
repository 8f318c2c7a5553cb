#include "core/model/network.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "core/engine/memory_plan.h"
#include "core/model/initialization.h"
#include "core/model/names.h"

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
  if (run_options_.implementation == Implementation::kReference || !images.is_cpu()) return false;
  if (images.scalar_type() != at::kFloat && images.scalar_type() != at::kDouble) return false;
  return is_training() ? features_->pixels_left(images) > 1 : !at::GradMode::is_enabled();
}

std::int64_t NetworkImpl::count_learning() const {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : parameters()) count += parameter.requires_grad() ? parameter.numel() : 0;
  return count;
}

bool NetworkImpl::keeps_products(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  if (run_options_.memory != MemoryMode::kAuto) return run_options_.memory == MemoryMode::kFast;
  const std::int64_t free = engine::free_memory();
  const engine::TrainingMemory memory =
      engine::predict_training_memory(config_, batch, height, width, count_learning());
  // A fifth is left for whatever else the process does.
  return free == 0 || memory.fast < free / 5 * 4;
}

std::int64_t NetworkImpl::predict_memory(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  const engine::TrainingMemory memory =
      engine::predict_training_memory(config_, batch, height, width, count_learning());
  return keeps_products(batch, height, width) ? memory.fast : memory.efficient;
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
  train();
  for (const Norm& norm : norms_) {
    if (!norm.module->weight.requires_grad() && !norm.adapting) norm.module->eval();
  }
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
