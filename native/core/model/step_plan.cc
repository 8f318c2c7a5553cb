#include "core/model/step_plan.h"

#include <cmath>
#include <cstddef>

namespace densenet {

namespace {

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kIndex = 8;  ///< an index of max pooling, int64

/// A batch norm's mean and deviation of the batch, one of each a channel.
std::int64_t statistics(std::int64_t channels) { return 2 * channels * kFloat; }

/// BN-ReLU: the input is kept by the norm, the output by the ReLU and by what reads it.
std::int64_t norm_relu(std::int64_t channels, std::int64_t pixels) {
  return (2 * channels * pixels * kFloat) + statistics(channels);
}

/// A dropout's mask.
std::int64_t mask(const ModelConfig& config, std::int64_t channels, std::int64_t pixels) {
  return config.drop_rate > 0.0 ? channels * pixels * kFloat : 0;
}

}  // namespace

std::vector<std::string> part_names(const ModelConfig& config) {
  std::vector<std::string> names{"conv0"};
  if (config.stem == Stem::kImageNet) names.insert(names.end(), {"norm0", "pool0"});
  for (std::size_t block = 1; block <= config.block_config.size(); ++block) {
    names.push_back("denseblock" + std::to_string(block));
    names.push_back(block < config.block_config.size() ? "transition" + std::to_string(block) : "norm5");
  }
  names.emplace_back("classifier");
  return names;
}

std::vector<std::int64_t> modules_kept_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height,
                                              std::int64_t width) {
  const bool drops_inside = config.drop_placement == DropPlacement::kConvolution;
  const auto half = [](std::int64_t length) { return (length + 1) / 2; };
  std::int64_t channels = config.init_channels;
  std::vector<std::int64_t> kept{batch * config.in_channels * height * width * kFloat};
  if (config.stem == Stem::kImageNet) {
    height = half(height);
    width = half(width);
    kept.push_back(norm_relu(channels, batch * height * width));
    height = half(height);
    width = half(width);
    kept.push_back(batch * height * width * channels * kIndex);
  }
  for (std::size_t index = 0; index < config.block_config.size(); ++index) {
    const std::int64_t pixels = batch * height * width;
    std::int64_t block = 0;
    for (std::int64_t layer = 0; layer < config.block_config[index]; ++layer) {
      block += norm_relu(channels, pixels) + mask(config, config.growth_rate, pixels);
      if (config.bottleneck) {
        const std::int64_t inner = config.bottleneck_size * config.growth_rate;
        block += norm_relu(inner, pixels) + (drops_inside ? mask(config, inner, pixels) : 0);
      }
      channels += config.growth_rate;
    }
    kept.push_back(block);
    std::int64_t after = norm_relu(channels, pixels);
    if (index + 1 < config.block_config.size()) {
      channels = static_cast<std::int64_t>(std::floor(static_cast<double>(channels) * config.compression));
      after += channels * pixels * kFloat;  // what is pooled
      if (drops_inside) after += mask(config, channels, pixels);
      height /= 2;
      width /= 2;
    }
    kept.push_back(after);
  }
  return kept;
}

}  // namespace densenet
