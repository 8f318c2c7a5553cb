#pragma once

#include <cstdint>

#include "core/host_tensor.h"

namespace densenet {

/// How a decoded picture is brought to the size that a network takes; torchvision's Resize and CenterCrop.
struct PicturePlan {
  std::int64_t height = 0;       ///< of the result; 0, like a width of 0, keeps the picture's own size
  std::int64_t width = 0;        ///< of the result
  std::int64_t resize_size = 0;  ///< the shorter side before the centre is cut out; 0 stretches straight to the result
  bool bicubic = false;          ///< cubic in place of linear interpolation
};

/// Resizes and crops a picture H×W×C of bytes, as decoders give it, to C×height×width. The resize is PyTorch's own,
/// antialiased; a picture that is smaller than the part to be cut out gets black edges, as in torchvision.
HostTensor prepare_picture(const HostTensor& pixels, const PicturePlan& plan);

}  // namespace densenet
