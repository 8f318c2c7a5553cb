#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "core/engine/geometry.h"
#include "core/engine/parts.h"

namespace densenet::engine {

/// The memory and version of each of a block's tensors: equal as long as none has changed.
using Versions = std::vector<std::pair<const void*, std::uint32_t>>;
Versions versions_of(const BlockParts& parts);

/// γ/√(σ²+ε) and β − scale·μ of the running statistics, in double.
std::pair<at::Tensor, at::Tensor> scale_and_shift(const NormParts& norm);

/// A block and its tail in evaluation, where every batch norm is a fixed scale and shift. norm2 is folded into the 1×1
/// convolution before it; the norms before a ReLU with no convolution in front stay what they are. What can be worked
/// out from the weights alone is kept, until one of them changes.
class BlockEvaluation {
 public:
  at::Tensor run(const BlockParts& parts, const at::Tensor& input);

 private:
  /// A scale and a shift per channel, padded.
  struct Norm {
    at::Tensor scale;
    at::Tensor shift;
  };
  struct Layer {
    Norm norm1;
    at::Tensor conv1;  ///< packed; with norm2's scale where there is one
    at::Tensor bias;   ///< norm2's shift
    at::Tensor conv2;
    std::int64_t width = 0;
    std::int64_t growth = 0;
    bool bottleneck = false;
  };

  template <class T>
  void prepare(const BlockParts& parts, const Pixels& pixels);
  template <class T>
  at::Tensor run_as(const BlockParts& parts, const at::Tensor& input);

  /// All layers on the buffer `x` of some images, whose first `channels` are there; `y` is scratch.
  template <class T>
  void run_layers(const Rows& x, const Pixels& pixels, std::int64_t channels, const Rows& y) const;

  Versions made_from_;
  bool made_for_winograd_ = false;
  std::vector<Layer> layers_;
};

}  // namespace densenet::engine
