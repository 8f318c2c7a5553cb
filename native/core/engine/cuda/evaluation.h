#pragma once

#include <vector>

#include "core/engine/cuda/kernels.h"
#include "core/engine/evaluation.h"

namespace densenet::engine::cuda {

/// As BlockEvaluation, on a device: norm2 is folded into the 1×1 convolution, and what the weights alone decide is kept
/// until one of them changes.
class DeviceEvaluation {
 public:
  at::Tensor run(const Kernels& kernels, const BlockParts& parts, const at::Tensor& given);

 private:
  struct Layer {
    NormVectors norm1;
    at::Tensor conv1;  ///< with norm2's scale, in the block's type
    at::Tensor bias;   ///< norm2's shift
    at::Tensor conv2;
  };

  void prepare(const BlockParts& parts, at::ScalarType type);

  Versions made_from_;
  at::ScalarType type_ = at::kFloat;
  std::vector<Layer> layers_;
  NormVectors tail_;
};

}  // namespace densenet::engine::cuda
