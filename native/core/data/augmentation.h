#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "core/data/operation.h"
#include "core/host_tensor.h"

namespace densenet {

/// From and to, both ends included as far as real numbers go.
struct Range {
  double low = 0.0;
  double high = 0.0;
};

// The random changes of training images. Each image of a batch draws its own numbers.

/// Pads with zeros on every side, then cuts the old size out at a random place.
struct RandomCrop {
  std::int64_t padding = 0;  ///< pixels
};

/// Cuts out a rectangle of random area and shape and brings it to a size, antialiased (Szegedy et al., "Going Deeper
/// with Convolutions", 2015; torchvision's RandomResizedCrop).
struct RandomResizedCrop {
  std::int64_t height = 0;  ///< 0 keeps the image's own
  std::int64_t width = 0;
  Range scale{.low = 0.08, .high = 1.0};             ///< share of the area
  Range ratio{.low = 3.0 / 4.0, .high = 4.0 / 3.0};  ///< width over height, its logarithm uniform
  bool bicubic = false;
};

struct RandomFlip {
  bool horizontal = true;  ///< mirrors left and right; otherwise top and bottom
  double probability = 0.5;
};

/// Slants, turns and scales about the centre, then moves; bilinear, zeros outside.
struct RandomAffine {
  double degrees = 0.0;  ///< the angle is uniform in ±degrees
  Range scale{.low = 1.0, .high = 1.0};
  double shear = 0.0;        ///< the slant along x is uniform in ±shear degrees
  double translate_x = 0.0;  ///< the way is uniform in ± this share of the width
  double translate_y = 0.0;  ///< … of the height
};

/// Brightness, contrast, saturation and hue by random factors, in an order of its own for each image.
struct ColorJitter {
  Range brightness{.low = 1.0, .high = 1.0};
  Range contrast{.low = 1.0, .high = 1.0};
  Range saturation{.low = 1.0, .high = 1.0};
  Range hue;
};

/// Overwrites a random rectangle (Zhong et al., "Random Erasing Data Augmentation", 2020).
struct RandomErasing {
  double probability = 0.5;
  Range scale{.low = 0.02, .high = 0.33};  ///< share of the area
  Range ratio{.low = 0.3, .high = 3.3};    ///< height over width, its logarithm uniform
  double value = 0.0;                      ///< in the images' own units
  bool noise = false;  ///< random values in place of `value`: any byte, or normally distributed floats
};

/// So many operations in a row, each drawn from RandAugment's 14 and made at one strength (Cubuk et al., 2020).
struct RandAugment {
  std::int64_t operations = 2;
  std::int64_t magnitude = 9;  ///< below `bins`
  std::int64_t bins = 31;
};

/// One operation of any strength, both drawn (Müller and Hutter, "TrivialAugment", 2021; the wide space).
struct TrivialAugment {
  std::int64_t bins = 31;
};

/// One operation at one strength, on every image.
struct FixedOperation {
  Operation operation = Operation::kIdentity;
  double magnitude = 0.0;
};

using Augmentation = std::variant<RandomCrop, RandomResizedCrop, RandomFlip, RandomAffine, ColorJitter, RandomErasing,
                                  RandAugment, TrivialAugment, FixedOperation>;

/// Applies the changes in order to images N×C×H×W of any type and device. All draws are made on the CPU, so that a seed
/// gives the same images on every device.
at::Tensor augment(at::Tensor images, std::span<const Augmentation> changes, at::Generator& generator);

/// The same on images in ordinary memory, by a generator of its own.
HostTensor augment_once(const HostTensor& images, std::span<const Augmentation> changes, std::uint64_t seed);

}  // namespace densenet
