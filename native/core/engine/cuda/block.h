#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "core/engine/block.h"
#include "core/engine/cuda/kernels.h"

namespace densenet::engine::cuda {

/// What the forward pass in training leaves for the backward pass of one block, as BlockTrace does on the CPU: the
/// block's buffer in the type of its input, and per channel the statistics. Nothing here waits for the device.
struct DeviceTrace {
  std::shared_ptr<const Kernels> kernels;
  BlockParts parts;
  Pixels pixels{};
  std::int64_t in = 0;        ///< channels of the input
  std::int64_t channels = 0;  ///< of the whole block
  at::Tensor x;               ///< pixels × channels
  Moments moments;

  struct Layer {
    std::int64_t in = 0;
    NormVectors norm1;
    at::Tensor y;  ///< the 1×1 convolution's output; undefined where it is done again
    Moments moments;
    NormVectors norm2;
    DropMask inner_mask;
    DropMask mask;
  };
  std::vector<Layer> layers;
  NormVectors tail;

  /// The channels that a layer reads, and those that it wrote.
  [[nodiscard]] at::Tensor read_by(const Layer& layer) const { return x.narrow(1, 0, layer.in); }
};

/// As run_block_forward and run_block_backward, on the device that the input lies on.
at::Tensor run_block_forward(std::shared_ptr<const Kernels> kernels, const BlockParts& parts, const at::Tensor& input,
                             Keep keep, DeviceTrace& trace);
BlockGradients run_block_backward(DeviceTrace& trace, const at::Tensor& output_gradient, bool input_wanted);

/// conv1 of a layer from what is kept of it, and the statistics of what it gives.
at::Tensor pointwise_forward(const DeviceTrace& trace, const LayerParts& layer, const DeviceTrace::Layer& kept,
                             const Moments& into);

}  // namespace densenet::engine::cuda
