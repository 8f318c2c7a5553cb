#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace densenet {

/// The operations of RandAugment and TrivialAugment, in torchvision's order.
enum class Operation : std::uint8_t {
  kIdentity,
  kShearX,      ///< tangent of the slant
  kShearY,      ///< tangent of the slant
  kTranslateX,  ///< pixels, whole ones
  kTranslateY,  ///< pixels, whole ones
  kRotate,      ///< degrees, against the clock
  kBrightness,  ///< added to a factor of 1; in the next three too
  kColor,
  kContrast,
  kSharpness,
  kPosterize,  ///< bits that are kept
  kSolarize,   ///< threshold, 0 to 255
  kAutoContrast,
  kEqualize,
};
inline constexpr std::int64_t kOperations = 14;

/// Makes an operation with a strength of its own for each image. Places between pixels are read from the nearest one,
/// and what comes from outside is black, as torchvision's defaults have it.
/// @param images N×C×H×W, @param magnitudes N, double, on the CPU
at::Tensor apply_operation(const at::Tensor& images, Operation operation, const at::Tensor& magnitudes);

/// The strengths of an operation, from none to the most: torchvision's spaces.
enum class OperationSpace : std::uint8_t { kRandAugment, kTrivialAugmentWide };

/// Draws operations (N, int64) and makes them: each image its own, of the space's strength at its bin.
/// @param bins_of N, int64: the strength of each image, below `bins`
at::Tensor apply_random_operations(const at::Tensor& images, OperationSpace space, const at::Tensor& bins_of,
                                   std::int64_t bins, at::Generator& generator);

}  // namespace densenet
