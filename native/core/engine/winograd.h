#pragma once

#include "core/engine/passes.h"

namespace densenet::engine {

/// Whether a 3×3 convolution of images of this size goes by Winograd's algorithm, F(4×4, 3×3): by height and width
/// alone, so that weights can be packed beforehand. A tile costs the same however much of it lies inside the image.
[[nodiscard]] bool winograd_pays(const Pixels& pixels);

template <class T>
void winograd_forward(const SpatialForward<T>& pass);

template <class T>
ConvolutionGradients winograd_backward(const SpatialBackward<T>& pass);

}  // namespace densenet::engine
