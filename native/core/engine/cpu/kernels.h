#pragma once

#include <cstdint>

#include "core/engine/cpu/affine.h"
#include "core/engine/cpu/isa.h"
#include "core/engine/cpu/winograd_tasks.h"

/// What one thread does to one tile, as plain functions over pointers, so that the same engine runs on kernels that
/// were compiled for different instruction sets. Matrices are row-major: a row is a pixel, a column a channel, `ld*`
/// the distance of two rows in elements. Vectors of one value a channel are padded to whole panels.
namespace densenet::engine {

/// Columns of a packed matrix are stored in panels of this many; the last panel may be half as wide.
inline constexpr std::int64_t kPanel = 16;

/// Rows that are multiplied at a time: a multiple of what any kernel holds in registers, small enough that a tile of
/// normalised values stays in the second-level cache.
inline constexpr std::int64_t kTileRows = 96;

/// Channels that are normalised at a time on the way into a product, so that a panel's part stays in the first-level
/// cache.
inline constexpr std::int64_t kDepth = 256;

/// C = max(0, scale·A + shift)·B over rows of A, for the panels [first_panel, last_panel) of B.
template <class T>
struct NormalizedProduct {
  std::int64_t rows;
  std::int64_t depth;    ///< columns of A, rows of B
  std::int64_t columns;  ///< of B and C
  std::int64_t first_panel;
  std::int64_t last_panel;
  const T* a;
  std::int64_t lda;
  Affine<T> norm;  ///< without a scale, A is taken as it is
  const T* b;      ///< packed
  T* c;
  std::int64_t ldc;
  const T* bias;  ///< where given, C = max(0, C + bias)
  T* scratch;     ///< kTileRows × (kDepth + kPanel)
};

/// A 3×3 convolution of padding 1 over `rows`×`width` pixels of a strip: (rows+2)×(width+2) pixels with zeros around.
template <class T>
struct StripProduct {
  std::int64_t rows;
  std::int64_t width;
  std::int64_t depth;  ///< channels of a pixel of the strip, and the distance of two pixels
  std::int64_t columns;
  std::int64_t first_panel;
  std::int64_t last_panel;
  const T* strip;
  const T* b;  ///< packed, 9·depth rows: kernel row, kernel column, channel
  T* c;        ///< rows·width pixels
  std::int64_t ldc;
};

/// As `StripProduct`, but its result is the gradient of a rectified value; `end`'s first pixel is the strip's.
template <class T>
struct StripBackward {
  StripProduct<T> product;  ///< `c` is not used
  NormBackward<T> end;
};

/// dW += Σ over pixels of g ⊗ t, t the 3×3 neighbourhood: for each panel, kernel position, channel of g.
template <class T>
struct StripWeight {
  std::int64_t rows;
  std::int64_t width;
  std::int64_t channels;  ///< of g
  std::int64_t first_panel;
  std::int64_t last_panel;
  const T* g;  ///< strip of gradients, `channels` a pixel
  const T* t;  ///< strips of the convolution's input, a panel after the other, kPanel channels a pixel
  T* dw;       ///< [panel][9][channels][kPanel]
};

/// The backward pass of max(0, norm(X))·W over a tile of rows, for some panels of the columns of X.
template <class T>
struct ProductBackward {
  std::int64_t rows;
  std::int64_t depth;  ///< columns of dY
  std::int64_t columns;
  std::int64_t first_panel;
  std::int64_t last_panel;
  const T* dy;
  std::int64_t lddy;
  const T* b;  ///< W packed: `depth` rows, `columns` columns; null where the gradient of X is not wanted
  NormBackward<T> end;
  T* dw;       ///< [panel][depth][kPanel], added to; null where the gradient of W is not wanted
  T* scratch;  ///< rows × kPanel
};

/// Average pooling of normalised, rectified pixels: windows of `height`×`width` of an image whose rows hold `pitch`
/// pixels.
template <class T>
struct PooledNorm {
  std::int64_t channels;
  std::int64_t height;
  std::int64_t width;
  std::int64_t pitch;
  std::int64_t outputs;  ///< windows side by side
  Affine<T> norm;
};

/// The stem's max pooling of normalised, rectified pixels of an image of height×width.
template <class T>
struct MaxPool {
  std::int64_t channels;
  std::int64_t height;
  std::int64_t width;
  Affine<T> norm;
};

template <class T>
struct Kernels {
  /// y = max(0, scale·x + shift)
  void (*normalize)(const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels, const Affine<T>& norm, T* y,
                    std::int64_t ldy);

  /// As `normalize`, into panels: kPanel channels a pixel, `panel_stride` elements from one panel to the next.
  void (*normalize_panels)(const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t first_panel,
                           std::int64_t last_panel, const Affine<T>& norm, T* y, std::int64_t panel_stride);

  /// out = scale·g + p + q·(x − mean): the whole gradient of a batch norm's input, from what was summed before.
  void (*correct)(const T* g, std::int64_t ldg, const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels,
                  const T* scale, const T* p, const T* q, const T* mean, T* out, std::int64_t ldo);

  /// The mean of each channel and the sum of the squared deviations from it.
  void (*statistics)(const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels, T* mean, T* deviations);

  void (*normalized_product)(const NormalizedProduct<T>& task);
  void (*product_backward)(const ProductBackward<T>& task);
  void (*strip_product)(const StripProduct<T>& task);
  void (*strip_backward)(const StripBackward<T>& task);
  void (*strip_weight)(const StripWeight<T>& task);

  /// Winograd's transforms and products, see winograd_tasks.h.
  void (*winograd_input)(const WinogradInput<T>& task);
  void (*winograd_product)(const WinogradProduct<T>& task);
  void (*winograd_output)(const WinogradOutput<T>& task);
  void (*winograd_backward)(const WinogradBackward<T>& task);
  void (*winograd_gradient)(const WinogradGradient<T>& task);
  void (*winograd_weight)(const WinogradWeight<T>& task);

  /// U = G·g·Gᵀ of some rows of a panel of packed weights: [9][rows][kPanel], `rows` of `all_rows`, to
  /// [kFrequencies][all_rows][kPanel]; and its adjoint, from a gradient of U to one of g.
  void (*winograd_transform)(const T* packed, std::int64_t rows, std::int64_t all_rows, T* u);
  void (*winograd_transform_backward)(const T* du, std::int64_t rows, std::int64_t all_rows, T* dw);

  /// Windows of one row of the pooled image.
  void (*pool)(const PooledNorm<T>& task, const T* x, std::int64_t ldx, T* y, std::int64_t ldy);

  /// Its backward pass: out = scale·g at every pixel of the windows, g being dy over the window's size where the
  /// pixel's value was above 0; Σ g and Σ g·(x − mean) are added to.
  void (*pool_backward)(const PooledNorm<T>& task, const T* dy, std::int64_t lddy, const NormBackward<T>& end);

  /// Row `row` of the pooled image; x is the whole image.
  void (*max_pool)(const MaxPool<T>& task, std::int64_t row, const T* x, std::int64_t ldx, T* y, std::int64_t ldy);

  /// Adds the gradients of that row to those of the image, before the batch norm's part.
  void (*max_pool_backward)(const MaxPool<T>& task, std::int64_t row, const T* x, std::int64_t ldx, const T* dy,
                            std::int64_t lddy, T* g, std::int64_t ldg);

  /// Σ g and Σ g·(x − mean), added to.
  void (*sums)(const T* g, std::int64_t ldg, const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels,
               const T* mean, T* sum_g, T* sum_gx);
};

/// The kernels of the instruction set in use.
template <class T>
[[nodiscard]] const Kernels<T>& kernels();

namespace detail {
/// One a file that is compiled with its own flags; null where the build has none.
extern const Kernels<float>* const portable_kernels;
extern const Kernels<double>* const portable_double_kernels;
extern const Kernels<float>* const avx2_kernels;
extern const Kernels<float>* const avx512_kernels;
}  // namespace detail

}  // namespace densenet::engine
