#pragma once

#include <cstdint>
#include <vector>

#include "core/model/config.h"

namespace densenet::engine {

/// What a training step holds at its peak, in bytes, beyond the model at rest.
struct TrainingMemory {
  std::int64_t fast = 0;       ///< with the 1×1 convolutions' outputs kept
  std::int64_t efficient = 0;  ///< with them done again
};

/// Predicts the peak of a step of SGD with momentum on the CPU's engine, on images of this size; `learning` is the
/// number of values in the parameters that learn. It follows the step through its tensors: the memory of the blocks
/// grows with their depth only linearly.
TrainingMemory predict_training_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height,
                                       std::int64_t width, std::int64_t learning);

/// The bytes that each part keeps of the forward pass for the backward pass, in the order of `part_names`, without the
/// classifier.
std::vector<std::int64_t> predict_kept_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height,
                                              std::int64_t width, bool keep_products);

}  // namespace densenet::engine
