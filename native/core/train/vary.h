#pragma once

#include <ATen/core/Generator.h>

#include <span>

#include "core/data/augmentation.h"
#include "core/data/batches.h"
#include "core/model/config.h"
#include "core/train/options.h"

namespace densenet {

/// A batch as it is trained on: its images augmented, and then mixed with one another. Mixed images are floats already
/// scaled and normalised, and their labels N×classes.
Batch vary(Batch batch, std::span<const Augmentation> augmentations, const MixingOptions& mixing,
           const ModelConfig& config, at::Generator& generator);

}  // namespace densenet
