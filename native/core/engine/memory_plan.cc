#include "core/engine/memory_plan.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <ranges>
#include <vector>

#include "core/engine/geometry.h"

namespace densenet::engine {

namespace {

constexpr std::int64_t kFloat = 4;

/// Code and tables of libtorch that the first step brings into memory, buffers that are kept for the next step while
/// others are at their peak, and what the heap loses between tensors.
constexpr std::int64_t kOverhead = 34'000'000;
constexpr double kFragments = 1.08;

/// What one block holds.
struct BlockMemory {
  std::int64_t buffer = 0;    ///< kept, and as large again for the gradient in the backward pass
  std::int64_t products = 0;  ///< all 1×1 convolutions' outputs
  std::int64_t inner = 0;     ///< one of them; of plain layers, a layer's output
  std::int64_t masks = 0;
  std::int64_t chunks = 0;   ///< sums of the largest weight's gradient
  std::int64_t weights = 0;  ///< the gradients of all its parameters and its transition's
};

BlockMemory block_memory(const ModelConfig& config, std::int64_t layers, std::int64_t in, std::int64_t out_of_tail,
                         const Pixels& pixels) {
  const std::int64_t rows = pixels.count();
  const std::int64_t growth = config.growth_rate;
  const std::int64_t width = config.bottleneck_size * growth;
  const std::int64_t channels = in + (layers * growth);
  BlockMemory memory;
  memory.buffer = rows * (whole_panels(channels) + kPanel) * kFloat;
  if (config.drop_rate > 0.0) memory.masks += layers * rows * growth;
  std::int64_t largest = 0;
  std::int64_t values = channels * (out_of_tail + 2);
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::int64_t read = in + (layer * growth);
    const std::int64_t spatial = 9 * growth * (config.bottleneck ? width : read);
    const std::int64_t pointwise = config.bottleneck ? width * read : 0;
    largest = std::max({largest, whole_panels(spatial), whole_panels(pointwise)});
    values += spatial + pointwise + (2 * read) + (config.bottleneck ? 2 * width : 0);
  }
  if (config.bottleneck) {
    memory.inner = rows * whole_panels(width) * kFloat;
    memory.products = layers * memory.inner;
    if (config.drop_rate > 0.0 && config.drop_placement == DropPlacement::kConvolution) {
      memory.masks += layers * rows * width;
    }
  } else {
    memory.inner = rows * whole_panels(growth) * kFloat;
  }
  memory.chunks = largest * kFloat * sum_chunks(Tiles(rows).count, 4);
  memory.weights = values * kFloat;
  return memory;
}

/// What the parts of a network hold in a training step.
struct NetworkMemory {
  std::int64_t images = 0;         ///< as they came; channels-last as much again
  std::int64_t stem = 0;           ///< of the ImageNet stem: the convolution's output
  std::int64_t stem_backward = 0;  ///< what its backward pass takes beside that
  std::vector<BlockMemory> blocks;
};

NetworkMemory network_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height, std::int64_t width) {
  NetworkMemory memory;
  memory.images = batch * config.in_channels * height * width * kFloat;
  std::int64_t channels = config.init_channels;
  if (config.stem == Stem::kImageNet) {
    height = ceil_div(height, 2);
    width = ceil_div(width, 2);
    memory.stem = batch * height * width * channels * kFloat;
    height = ceil_div(height, 2);
    width = ceil_div(width, 2);
    memory.stem_backward = memory.stem + (batch * height * width * channels * kFloat);
  }
  for (std::size_t index = 0; index < config.block_config.size(); ++index) {
    const std::int64_t all = channels + (config.block_config[index] * config.growth_rate);
    const bool last = index + 1 == config.block_config.size();
    const std::int64_t kept =
        last ? 0 : static_cast<std::int64_t>(std::floor(static_cast<double>(all) * config.compression));
    memory.blocks.push_back(block_memory(config, config.block_config[index], channels, last ? config.num_classes : kept,
                                         {.images = batch, .height = height, .width = width}));
    channels = kept;
    height /= 2;
    width /= 2;
  }
  return memory;
}

}  // namespace

TrainingMemory predict_training_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height,
                                       std::int64_t width, std::int64_t learning) {
  const NetworkMemory memory = network_memory(config, batch, height, width);
  const std::int64_t stem = (2 * memory.images) + memory.stem;
  const std::int64_t learned = learning * kFloat;
  const auto peak = [&](bool fast) {
    std::int64_t held = stem;
    for (const BlockMemory& block : memory.blocks) held += block.buffer + block.masks + (fast ? block.products : 0);
    std::int64_t most = held;
    std::int64_t gradients = 0;
    std::int64_t next = 0;  // of plain layers the next block's buffer was still there, wherever it was measured
    for (const BlockMemory& block : memory.blocks | std::views::reverse) {
      gradients = std::min(learned, gradients + block.weights);
      const std::int64_t again = fast || !config.bottleneck ? 0 : block.inner;
      const std::int64_t passing = block.buffer + block.inner + block.chunks + again + next;
      if (!config.bottleneck) next = block.buffer;
      most = std::max(most, held + gradients + passing);
      held -= block.buffer + block.masks + (fast ? block.products : 0);
    }
    most = std::max(most, stem + memory.stem_backward + learned);
    const auto tensors = static_cast<double>(most + learned);  // the momentum
    return kOverhead + static_cast<std::int64_t>(kFragments * tensors);
  };
  return {.fast = peak(true), .efficient = peak(false)};
}

std::vector<std::int64_t> predict_kept_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height,
                                              std::int64_t width, bool keep_products) {
  const NetworkMemory memory = network_memory(config, batch, height, width);
  std::vector<std::int64_t> kept{memory.images};
  if (config.stem == Stem::kImageNet) kept.insert(kept.end(), {memory.stem, 0});
  for (const BlockMemory& block : memory.blocks) {
    kept.push_back(block.buffer + block.masks + (keep_products ? block.products : 0));
    kept.push_back(0);  // what follows reads the block's buffer again
  }
  return kept;
}

}  // namespace densenet::engine
