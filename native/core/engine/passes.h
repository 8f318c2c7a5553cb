#pragma once

#include <cstdint>
#include <optional>

#include "core/engine/geometry.h"
#include "core/engine/statistics.h"

/// The engine's passes over all pixels, each shared among threads. What is called X here is a block's buffer: pixels by
/// channels, `X.ld` apart.
namespace densenet::engine {

/// A mask of dropout, a byte a value and `channels` a pixel, and what the values that stay are multiplied by.
struct DropMask {
  at::Tensor bytes;
  double scale = 1.0;

  [[nodiscard]] bool defined() const { return bytes.defined(); }

  /// Applies the mask to rows of pixels, in place.
  template <class T>
  void apply(T* x, std::int64_t ldx, std::int64_t first_pixel, std::int64_t rows, Range channels) const;
};

/// A mask as `Dropout::apply` would draw it for N×channels×H×W, kept a byte a value and pixel by pixel.
DropMask draw_mask(const Dropout& dropout, const Pixels& pixels, std::int64_t channels,
                   const at::TensorOptions& options);

/// Statistics of channels [0, channels) of X.
template <class T>
void measure(const Rows& x, std::int64_t channels, ChannelStatistics& into);

/// A 1×1 convolution of the normalised, rectified X (section 3, "Bottleneck layers").
template <class T>
struct PointwiseForward {
  const T* x = nullptr;
  std::int64_t ldx = 0;
  std::int64_t pixels = 0;
  std::int64_t in = 0;
  Affine<T> norm{};
  const T* weight = nullptr;  ///< pack_forward
  std::int64_t out = 0;
  Rows y;
  const T* bias = nullptr;                  ///< in evaluation: Y = max(0, Y + bias)
  const DropMask* mask = nullptr;           ///< applied to Y
  ChannelStatistics* statistics = nullptr;  ///< of Y, where wanted

  void run() const;
};

/// A 3×3 convolution of the normalised, rectified input, into a slice of the block's buffer.
template <class T>
struct SpatialForward {
  const T* x = nullptr;
  std::int64_t ldx = 0;
  Pixels pixels{};
  std::int64_t in = 0;
  std::optional<Affine<T>> norm;  ///< without it the input is taken as it is
  const T* weight = nullptr;      ///< pack_spatial_forward
  std::int64_t out = 0;
  T* y = nullptr;
  std::int64_t ldy = 0;
  const DropMask* mask = nullptr;
  ChannelStatistics* statistics = nullptr;
  std::int64_t statistics_offset = 0;

  void run() const;
};

/// A gradient that still lacks what its channels' batch norms subtract: scale·g + p + q·(x − mean), then the mask.
template <class T>
struct OpenGradient {
  const T* g = nullptr;
  std::int64_t ldg = 0;
  const T* x = nullptr;
  std::int64_t ldx = 0;
  std::int64_t channels = 0;
  const T* scale = nullptr;
  const T* p = nullptr;
  const T* q = nullptr;
  const T* mean = nullptr;
  const DropMask* mask = nullptr;

  /// The finished gradient of some rows of pixels. Runs over the end of a row by up to a panel.
  void finish(std::int64_t first_pixel, std::int64_t rows, T* out, std::int64_t ldo) const;
};

/// What a batch norm, ReLU and convolution give back.
struct ConvolutionGradients {
  NormSums sums;
  at::Tensor weight;  ///< undefined where not wanted
};

/// The backward pass of `PointwiseForward`.
template <class T>
struct PointwiseBackward {
  OpenGradient<T> dy;
  const T* x = nullptr;
  std::int64_t ldx = 0;
  std::int64_t pixels = 0;
  std::int64_t in = 0;
  Affine<T> norm{};
  const T* weight = nullptr;  ///< pack_backward
  at::Tensor original;        ///< the weight; its gradient is wanted where it requires one
  T* dx = nullptr;            ///< scale·g is added to it
  std::int64_t ldd = 0;

  [[nodiscard]] ConvolutionGradients run() const;
};

/// The backward pass of `SpatialForward`.
template <class T>
struct SpatialBackward {
  OpenGradient<T> dy;
  const T* x = nullptr;
  std::int64_t ldx = 0;
  Pixels pixels{};
  std::int64_t in = 0;
  Affine<T> norm{};
  const T* weight = nullptr;  ///< pack_spatial_backward
  at::Tensor original;
  T* dx = nullptr;
  std::int64_t ldd = 0;
  bool accumulate = false;  ///< dx += scale·g; otherwise dx = g

  [[nodiscard]] ConvolutionGradients run() const;
};

/// Fills a strip with zeros around it, `row_of(row, pixel place)` writing the pixels of each row that is in the image.
/// Rows are filled in order, since a row may be written over its end.
template <class T, class F>
void fill_strip(const Strips& strips, const StripPlace& place, std::int64_t channels, T* strip, const F& row_of) {
  const std::int64_t width = strips.pixels.width;
  for (std::int64_t row = place.rows.begin - 1; row <= place.rows.end; ++row) {
    if (row < 0 || row >= strips.pixels.height) {
      std::fill_n(strip, (width + 2) * channels, T{0});
    } else {
      std::fill_n(strip, channels, T{0});
      row_of(((place.image * strips.pixels.height) + row) * width, strip + channels);
      std::fill_n(strip + ((width + 1) * channels), channels, T{0});
    }
    strip += (width + 2) * channels;
  }
}

}  // namespace densenet::engine
