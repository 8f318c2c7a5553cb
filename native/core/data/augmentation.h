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
    kRandomAffine,          ///< slants, turns and scales about the centre, then moves; bilinear, zeros outside
  };
  Kind kind = Kind::kRandomCrop;
  std::int64_t padding = 0;  ///< of the random crop, pixels
  double probability = 0.5;  ///< of the flip
  double degrees = 0.0;      ///< of the affine map: the angle is uniform in ±degrees
  double scale_min = 1.0;    ///< of the affine map: the scale is uniform between the two
  double scale_max = 1.0;
  double shear = 0.0;        ///< of the affine map: the slant along x is uniform in ±shear degrees
  double translate_x = 0.0;  ///< of the affine map: the way is uniform in ± this share of the width
  double translate_y = 0.0;  ///< … of the height
};

/// Applies the changes in order to images N×C×H×W of any type and device.
at::Tensor augment(at::Tensor images, std::span<const Augmentation> changes, at::Generator& generator);

}  // namespace densenet
