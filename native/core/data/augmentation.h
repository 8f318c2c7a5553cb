#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace densenet {

/// One random change of the training images; each image of a batch draws its own.
struct Augmentation {
  enum class Kind : std::uint8_t {
    kRandomCrop,            ///< pads with zeros on every side, then cuts the old size out at a random place
    kRandomHorizontalFlip,  ///< mirrors left and right
  };
  Kind kind = Kind::kRandomCrop;
  std::int64_t padding = 0;  ///< of the random crop, pixels
  double probability = 0.5;  ///< of the flip
};

/// Applies the changes in order to images N×C×H×W of any type and device.
at::Tensor augment(at::Tensor images, std::span<const Augmentation> changes, at::Generator& generator);

}  // namespace densenet
