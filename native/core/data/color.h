#pragma once

#include <ATen/core/Tensor.h>

namespace densenet {

/// Changes of colour as torchvision.transforms.functional defines them. Images N×C×H×W are bytes, from 0 to 255, or
/// floats from 0 to 1; factors are one an image. What is about colours leaves images of other than three channels as
/// they are.

/// Times the factor.
at::Tensor adjust_brightness(const at::Tensor& images, const at::Tensor& factors);
/// Away from the image's own mean grey by the factor; 0 leaves that grey alone.
at::Tensor adjust_contrast(const at::Tensor& images, const at::Tensor& factors);
/// Away from the pixel's own grey by the factor; 0 is black and white.
at::Tensor adjust_saturation(const at::Tensor& images, const at::Tensor& factors);
/// Turns the hue by the factor, -0.5 to 0.5 of the whole circle.
at::Tensor adjust_hue(const at::Tensor& images, const at::Tensor& factors);
/// Away from the blurred image by the factor; 0 is blurred, 1 as it was.
at::Tensor adjust_sharpness(const at::Tensor& images, const at::Tensor& factors);
/// Keeps so many of the 8 bits.
at::Tensor posterize(const at::Tensor& images, const at::Tensor& bits);
/// Inverts what is at or above the threshold, 0 to 255.
at::Tensor solarize(const at::Tensor& images, const at::Tensor& thresholds);
/// Stretches each channel from its darkest to its brightest value over the whole range.
at::Tensor stretch_contrast(const at::Tensor& images);
/// Gives each channel an even histogram.
at::Tensor equalize(const at::Tensor& images);

}  // namespace densenet
