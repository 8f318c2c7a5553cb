#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace densenet {

/// Filters of RGB images, O×3×H×W, for images of `channels` channels, by timm's rule: one channel gets their sum, more
/// get them in turn, scaled by 3/channels, so that a grey image gives what it gave.
at::Tensor adapt_input(const at::Tensor& filters, std::int64_t channels);

}  // namespace densenet
