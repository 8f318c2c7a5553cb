#pragma once

#include <memory>

#include "core/host_tensor.h"

namespace densenet {

/// Labelled images in ordinary memory. Not changed once training has begun.
struct Dataset {
  HostTensor images;  ///< N×C×H×W, uint8 or float32
  HostTensor labels;  ///< N, int32, each the index of a class; or N×classes, float32, each from 0 to 1

  [[nodiscard]] std::int64_t size() const { return images.shape.at(0); }
};

using DatasetPtr = std::shared_ptr<const Dataset>;

}  // namespace densenet
