#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>

#include "core/data/batches.h"
#include "core/model/config.h"

namespace densenet {

class NetworkImpl;

/// The pooled features of every image, N×C on the network's device, in the order of the source: what the classifier
/// reads. While nothing before the classifier changes they need not be computed again. Nothing comes back when `stop`
/// ended it.
std::optional<at::Tensor> compute_features(NetworkImpl& network, const ModelConfig& config, BatchSource& images,
                                           const std::function<bool()>& stop);

}  // namespace densenet
