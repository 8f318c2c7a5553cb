#pragma once

#include <memory>

#include "core/data/feed.h"
#include "core/host_tensor.h"

namespace densenet {

/// Labelled images: in ordinary memory, not changed once training has begun; or brought by a feed while it goes on.
struct Dataset {
  HostTensor images;           ///< N×C×H×W, uint8 or float32; empty beside a feed
  HostTensor labels;           ///< N, int32, each the index of a class; or N×classes, float32, each from 0 to 1
  std::shared_ptr<Feed> feed;  ///< none for images in memory

  [[nodiscard]] std::int64_t size() const { return labels.shape.at(0); }
};

using DatasetPtr = std::shared_ptr<const Dataset>;

}  // namespace densenet
