#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace densenet {

/// How a pixel is read at a place between pixels.
enum class Sampling : std::uint8_t { kBilinear, kNearest };

/// Images N×C×H×W through maps N×2×3 (double, on the CPU) that give, for a place in the result, the place in the
/// source, both in pixels (x, y) from the middle of the image: torchvision's affine and rotate. What comes from outside
/// is zero.
at::Tensor warp(const at::Tensor& images, const at::Tensor& maps, Sampling sampling);

/// A rectangle H×W to a size, antialiased, as torchvision's resize.
at::Tensor resize_images(const at::Tensor& images, std::int64_t height, std::int64_t width, bool bicubic);

}  // namespace densenet
