#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "core/engine/geometry.h"
#include "core/engine/parts.h"
#include "core/engine/passes.h"
#include "core/engine/statistics.h"

namespace densenet::engine {

/// What the forward pass in training leaves for the backward pass of one block: its buffer, which holds the input and
/// every layer's output side by side (so that nothing is ever joined), and the statistics of its channels.
struct BlockTrace {
  BlockParts parts;
  Pixels pixels{};
  std::int64_t in = 0;        ///< channels of the input
  std::int64_t channels = 0;  ///< of the whole block
  Rows x;
  ChannelStatistics statistics;

  struct Layer {
    std::int64_t in = 0;
    Rows y;  ///< the 1×1 convolution's output; empty where it is done again
    ChannelStatistics statistics;
    DropMask inner_mask;
    DropMask mask;
  };
  std::vector<Layer> layers;
};

/// The forward pass in training: updates the running statistics, and gives the operator's output, N×C×H×W or, after a
/// global pool, N×C. `trace` is filled where something is to be kept.
at::Tensor run_block_forward(const BlockParts& parts, const at::Tensor& input, Keep keep, BlockTrace& trace);

/// Gradients in the order of `parameters_of`, undefined where not wanted.
struct BlockGradients {
  at::Tensor input;
  std::vector<at::Tensor> parameters;
};
BlockGradients run_block_backward(BlockTrace& trace, const at::Tensor& output_gradient, bool input_wanted);

/// Layer by layer, norm before convolution, and then the tail's; those that are empty left out.
std::vector<at::Tensor> parameters_of(const BlockParts& parts);

/// Whether any of a layer's parameters wants a gradient.
bool learns(const LayerParts& layer);

/// The order of a block's backward pass: from its last layer to the first that something hangs on. `Layers` is a list
/// of what the forward pass kept of each; what is used up is given up. `of_layer(index)` gives the gradients of a
/// layer's parameters, in the order of `parameters_of`.
template <class Layers, class F>
std::vector<std::vector<at::Tensor>> walk_back(const BlockParts& parts, Layers& layers, bool input_wanted,
                                               const F& of_layer) {
  std::size_t first = 0;
  while (!input_wanted && first < layers.size() && !learns(parts.layers[first])) ++first;
  std::vector<std::vector<at::Tensor>> gradients(layers.size());
  for (std::size_t index = layers.size(); index-- > 0;) {
    if (index < first) {  // nothing at or before it learns
      gradients[index].resize(parts.layers[index].bottleneck() ? 6 : 3);
    } else {
      gradients[index] = of_layer(index);
    }
    layers[index] = {};  // its memory is needed no more
  }
  return gradients;
}

/// The gradients of the layers and then those of the tail, in the order of `parameters_of`.
std::vector<at::Tensor> join_gradients(std::vector<std::vector<at::Tensor>> layers, std::vector<at::Tensor> tail);

/// A block and its tail as one step of autograd.
at::Tensor block_forward(const BlockParts& parts, const at::Tensor& input, bool keep_products);

}  // namespace densenet::engine
