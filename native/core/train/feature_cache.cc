#include "core/train/feature_cache.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <vector>

#include "core/data/images.h"
#include "core/model/network.h"

namespace densenet {

std::optional<at::Tensor> compute_features(NetworkImpl& network, const ModelConfig& config, BatchSource& images,
                                           const std::function<bool()>& stop) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> features;
  images.start_epoch({});
  while (const std::optional<Batch> batch = images.next()) {
    if (stop()) return std::nullopt;
    network.eval();  // a call in a pause may have changed the mode
    features.push_back(network.pooled_features(to_network_input(batch->images, config)));
  }
  if (stop()) return std::nullopt;
  return features.empty() ? at::empty({0}) : at::cat(features);
}

}  // namespace densenet
