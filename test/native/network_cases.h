#pragma once

/// Small networks of every kind, and what one training step of them leaves: shared by the programs that hold another
/// way of computing against the module-by-module reference.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/model/network.h"

using densenet::DropPlacement;
using densenet::Implementation;
using densenet::MemoryMode;
using densenet::ModelConfig;
using densenet::Network;
using densenet::Stem;

struct Case {
  std::string name;
  ModelConfig config;
  std::vector<std::int64_t> shape;
  std::vector<std::string> frozen;
};

inline ModelConfig small(std::int64_t growth, std::vector<std::int64_t> blocks,
                         const std::function<void(ModelConfig&)>& change) {
  ModelConfig config;
  config.growth_rate = growth;
  config.block_config = std::move(blocks);
  config.init_channels = 2 * growth;
  config.stem = Stem::kCifar;
  config.num_classes = 5;
  change(config);
  return config;
}

inline std::vector<Case> cases() {
  const auto same = [](ModelConfig& /*config*/) {};
  return {
      {"bc k=12", small(12, {3, 2, 2}, same), {3, 3, 13, 11}, {}},
      {"bc k=32 imagenet", small(32, {2, 2}, [](ModelConfig& c) { c.stem = Stem::kImageNet; }), {2, 3, 43, 37}, {}},
      {"bc k=24", small(24, {2, 3}, same), {2, 3, 17, 12}, {}},
      {"bc k=40", small(40, {2, 2}, same), {2, 3, 9, 10}, {}},
      {"bc k=48", small(48, {2, 1}, same), {2, 3, 8, 7}, {}},
      {"k=3",
       small(3, {3, 3},
             [](ModelConfig& c) {
               c.init_channels = 7;
               c.bottleneck_size = 3;
             }),
       {4, 3, 9, 5},
       {}},
      {"k=5 theta=0.7", small(5, {4, 2}, [](ModelConfig& c) { c.compression = 0.7; }), {3, 3, 8, 14}, {}},
      {"k=2",
       small(2, {3, 2},
             [](ModelConfig& c) {
               c.init_channels = 1;
               c.bottleneck_size = 1;
               c.compression = 1.0;
             }),
       {3, 3, 7, 6},
       {}},
      {"plain k=12",
       small(12, {3, 2},
             [](ModelConfig& c) {
               c.bottleneck = false;
               c.compression = 1.0;
             }),
       {3, 3, 12, 9},
       {}},
      {"plain k=5",
       small(5, {3, 3},
             [](ModelConfig& c) {
               c.bottleneck = false;
               c.init_channels = 9;
             }),
       {3, 3, 12, 9},
       {}},
      {"plain imagenet",
       small(4, {2, 1, 1, 1},
             [](ModelConfig& c) {
               c.stem = Stem::kImageNet;
               c.bottleneck = false;
               c.compression = 1.0;
             }),
       {4, 3, 97, 70},
       {}},
      {"wide pictures", small(4, {2, 2}, same), {2, 3, 5, 150}, {}},
      {"dropout", small(8, {3, 2}, [](ModelConfig& c) { c.drop_rate = 0.3; }), {3, 3, 12, 9}, {}},
      {"dropout everywhere",
       small(8, {3, 2},
             [](ModelConfig& c) {
               c.drop_rate = 0.2;
               c.drop_placement = DropPlacement::kConvolution;
             }),
       {3, 3, 12, 9},
       {}},
      {"plain dropout",
       small(6, {3, 2},
             [](ModelConfig& c) {
               c.drop_rate = 0.2;
               c.bottleneck = false;
             }),
       {3, 3, 12, 9},
       {}},
      {"frozen stem", small(12, {3, 2}, same), {3, 3, 12, 9}, {"features.conv0"}},
      {"frozen first block", small(12, {3, 2}, same), {3, 3, 12, 9}, {"features.conv0", "features.denseblock1"}},
      {"frozen half block",
       small(12, {4, 2}, same),
       {3, 3, 12, 9},
       {"features.conv0", "features.denseblock1.denselayer1", "features.denseblock1.denselayer2"}},
      {"frozen convolutions",
       small(12, {3, 2}, same),
       {3, 3, 12, 9},
       {"features.denseblock1.denselayer2.conv1", "features.denseblock2.denselayer1.conv2",
        "features.transition1.conv"}},
      {"frozen norms",
       small(12, {3, 2}, same),
       {3, 3, 12, 9},
       {"features.denseblock1.denselayer2.norm1", "features.denseblock2.denselayer1.norm2.weight", "features.norm5"}},
      {"frozen features", small(12, {3, 2}, same), {3, 3, 12, 9}, {"features"}},
  };
}

/// What one training step leaves: the logits, every gradient, and every buffer.
using Outcome = std::map<std::string, at::Tensor>;

inline Outcome train_once(const Case& one, at::ScalarType type, Implementation implementation, MemoryMode memory) {
  at::manual_seed(7);
  Network network(one.config);
  network->initialize(at::make_generator<at::CPUGeneratorImpl>(3));
  {
    const torch::NoGradGuard no_grad;
    for (const auto& entry : densenet::state_of(*network)) {
      if (entry.tensor.dim() != 1 || !entry.tensor.is_floating_point()) continue;
      entry.tensor.add_(at::rand(entry.tensor.sizes()), 0.5);  // off 0 and 1, where a mistake could hide
    }
  }
  for (const auto& entry : densenet::state_of(*network)) {
    if (entry.tensor.is_floating_point()) entry.tensor.set_data(entry.tensor.detach().to(type));  // counts stay whole
  }
  for (const auto& item : network->named_parameters()) {
    for (const std::string& prefix : one.frozen) {
      if (item.key().rfind(prefix, 0) == 0) item.value().requires_grad_(false);
    }
  }
  network->set_run_options({.implementation = implementation, .memory = memory});
  network->set_dropout_generator(at::make_generator<at::CPUGeneratorImpl>(11));
  network->train();
  const at::Tensor images = at::randn(one.shape).to(type);
  const at::Tensor labels = at::arange(one.shape[0]) % one.config.num_classes;
  const at::Tensor logits = network->forward(images);
  at::cross_entropy_loss(logits, labels).backward();
  Outcome outcome{{"logits", logits.detach()}};
  for (const auto& item : network->named_parameters()) {
    if (item.value().grad().defined()) outcome["gradient " + item.key()] = item.value().grad().clone();
  }
  for (const auto& item : network->named_buffers()) outcome["buffer " + item.key()] = item.value().clone();
  network->eval();
  const torch::NoGradGuard no_grad;
  outcome["evaluation"] = network->forward(images);
  return outcome;
}

/// The largest difference of two outcomes, relative to the largest value of each tensor; infinite when one has tensors
/// that the other lacks.
inline double difference(const Outcome& actual, const Outcome& expected) {
  double largest = actual.size() == expected.size() ? 0.0 : INFINITY;
  for (const auto& [name, tensor] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end()) return INFINITY;
    const double scale = std::max(tensor.to(at::kDouble).abs().max().item<double>(), 1e-9);
    const double off = (found->second.to(at::kDouble) - tensor.to(at::kDouble)).abs().max().item<double>() / scale;
    if (std::getenv("VERBOSE") && off > 1e-6) std::printf("  %s %.3g (scale %.3g)\n", name.c_str(), off, scale);
    largest = std::max(largest, std::isnan(off) ? INFINITY : off);
  }
  return largest;
}

inline bool identical(const Outcome& a, const Outcome& b) {
  for (const auto& [name, tensor] : a) {
    if (!at::equal(tensor, b.at(name))) return false;
  }
  return a.size() == b.size();
}
