#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>

#include "core/data/batches.h"
#include "core/train/options.h"

namespace densenet {

/// Mixes each image of a batch, and its label, with the one before it (the first with the last): a share of its values
/// (mixup) or a box of its pixels (cutmix). One share is drawn for the whole batch, as in torchvision's MixUp and
/// CutMix; the generator is the CPU's, so that a seed draws the same for every device.
/// @param batch images N×C×H×W in floating point; its labels become N×classes.
Batch mix(const Batch& batch, const MixingOptions& options, std::int64_t classes, at::Generator& generator);

}  // namespace densenet
