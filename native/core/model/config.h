#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace densenet {

/// What comes before the first block.
enum class Stem : std::uint8_t {
  kImageNet,  ///< 7×7 convolution of stride 2, batch norm, ReLU, 3×3 max pooling of stride 2
  kCifar,     ///< one 3×3 convolution of stride 1
};

/// How the weights start.
enum class Initialization : std::uint8_t {
  kFanOut,       ///< convolutions Kaiming-normal by fan-out; classifier N(0, 0.01), bias 0
  kTorchvision,  ///< convolutions Kaiming-normal by fan-in; classifier as torch.nn.Linear, bias 0
};

/// After which convolutions dropout stands.
enum class DropPlacement : std::uint8_t {
  kLayer,        ///< after the last convolution of each layer, as torchvision has it
  kConvolution,  ///< after every convolution of the layers and transitions, as the paper's own code has it
};

/// Everything that decides a network's shape. Huang et al., "Densely Connected Convolutional Networks" (2017).
struct ModelConfig {
  std::int64_t growth_rate = 32;                          ///< k: the channels that each layer adds (section 3)
  std::vector<std::int64_t> block_config{6, 12, 24, 16};  ///< the layers of each block (table 1)
  std::int64_t init_channels = 64;                        ///< channels before the first block
  bool bottleneck = true;                                 ///< DenseNet-B: a 1×1 convolution before each 3×3
  std::int64_t bottleneck_size = 4;                       ///< the 1×1 convolution gives this many times k channels
  double compression = 0.5;                               ///< θ: the share of channels that a transition keeps
  double drop_rate = 0.0;                                 ///< the share of values that dropout sets to zero
  DropPlacement drop_placement = DropPlacement::kLayer;
  Stem stem = Stem::kImageNet;
  std::int64_t in_channels = 3;
  std::int64_t num_classes = 1000;
  Initialization initialization = Initialization::kFanOut;
  /// The mean and the standard deviation of each channel, on the scale [0, 1], by which raw pixels are normalised;
  /// both empty for no normalisation.
  std::vector<double> mean;
  std::vector<double> std;
};

}  // namespace densenet
