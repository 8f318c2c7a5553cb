#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/model/dropout.h"

namespace densenet::engine {

/// A batch norm's tensors. They share memory with the module that they come from.
struct NormParts {
  at::Tensor weight;  ///< γ
  at::Tensor bias;    ///< β
  at::Tensor running_mean;
  at::Tensor running_variance;
  at::Tensor batches;  ///< num_batches_tracked
  double epsilon = 0.0;
  double momentum = 0.0;
};

/// A layer's tensors. Without the bottleneck conv1 is the 3×3 and norm2 and conv2 are empty.
struct LayerParts {
  NormParts norm1;
  at::Tensor conv1;
  NormParts norm2;
  at::Tensor conv2;

  [[nodiscard]] bool bottleneck() const { return conv2.defined(); }
  [[nodiscard]] std::int64_t width() const { return conv1.size(0); }  ///< channels between the convolutions
  [[nodiscard]] std::int64_t growth() const { return bottleneck() ? conv2.size(0) : conv1.size(0); }
};

/// What follows a block inside its operator.
enum class TailKind : std::uint8_t {
  kJoin,        ///< nothing: the block's input and its layers' outputs
  kTransition,  ///< BN-ReLU, 2×2 average pooling, 1×1 convolution: pooling first, which is the same and cheaper
  kGlobal,      ///< BN-ReLU and the average over all pixels
};

struct TailParts {
  TailKind kind = TailKind::kJoin;
  NormParts norm;
  at::Tensor conv;
};

/// What is kept of the forward pass for the backward pass.
enum class Keep : std::uint8_t {
  kNothing,  ///< there is no backward pass
  kBlock,    ///< the block's buffer; the 1×1 convolutions are done again
  kAll,      ///< the 1×1 convolutions' outputs too
};

struct BlockParts {
  std::vector<LayerParts> layers;
  TailParts tail;
  DropoutPtr dropout;
  bool drop_inside = false;  ///< after the 1×1 convolutions too

  [[nodiscard]] bool drops() const { return dropout && dropout->rate > 0.0; }
};

}  // namespace densenet::engine
