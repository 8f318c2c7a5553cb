#include "core/train/vary.h"

#include <ATen/ATen.h>

#include <utility>

#include "core/data/images.h"
#include "core/train/mixing.h"

namespace densenet {

Batch vary(Batch batch, std::span<const Augmentation> augmentations, const MixingOptions& mixing,
           const ModelConfig& config, at::Generator& generator) {
  batch.images = augment(std::move(batch.images), augmentations, generator);
  if (!mixing.any()) return batch;
  batch.images = to_network_input(batch.images, config);
  return mix(batch, mixing, config.num_classes, generator);
}

}  // namespace densenet
