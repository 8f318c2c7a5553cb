#pragma once

#include "core/engine/cpu/panels.h"

namespace densenet::engine {

/// The stem's 3×3 max pooling of stride 2 and padding 1, of normalised, rectified pixels; a row of the pooled image a
/// call.
template <class Arch, class T>
struct MaxPooling {
  using S = typename Arch::Line;
  using V = typename S::Vector;

  static void forward(const MaxPool<T>& task, std::int64_t row, const T* x, std::int64_t ldx, T* y, std::int64_t ldy) {
    over_windows(task, row, [&](std::int64_t output, const Window& window) {
      for (std::int64_t c = 0; c < task.channels; c += S::kLanes) {
        store<S>(y + (output * ldy) + c, largest(task, window, x, ldx, c));
      }
    });
  }

  /// Each window's gradient goes to its first largest pixel, as PyTorch has it; to none where all were rectified.
  static void backward(const MaxPool<T>& task, std::int64_t row, const T* x, std::int64_t ldx, const T* dy,
                       std::int64_t lddy, T* g, std::int64_t ldg) {
    const V zero{};
    over_windows(task, row, [&](std::int64_t output, const Window& window) {
      for (std::int64_t c = 0; c < task.channels; c += S::kLanes) {
        const V best = largest(task, window, x, ldx, c);
        V left = best > zero ? load<S>(dy + (output * lddy) + c) : zero;
        over_pixels(task, window, [&](std::int64_t pixel) {
          const V value = normalized(task, x + (pixel * ldx) + c, c);
          T* place = g + (pixel * ldg) + c;
          store<S>(place, load<S>(place) + (value == best ? left : zero));
          left = value == best ? zero : left;
        });
      }
    });
  }

 private:
  /// The pixels under a window, less those of the padding.
  struct Window {
    std::int64_t first_row;
    std::int64_t last_row;
    std::int64_t first_column;
    std::int64_t last_column;
  };

  static std::int64_t from(std::int64_t output) { return output == 0 ? 0 : (2 * output) - 1; }
  static std::int64_t to(std::int64_t output, std::int64_t length) {
    return (2 * output) + 2 < length ? (2 * output) + 2 : length;
  }

  template <class F>
  DENSENET_INLINE static void over_windows(const MaxPool<T>& task, std::int64_t row, const F& f) {
    for (std::int64_t output = 0; output < (task.width + 1) / 2; ++output) {
      f(output, Window{.first_row = from(row),
                       .last_row = to(row, task.height),
                       .first_column = from(output),
                       .last_column = to(output, task.width)});
    }
  }

  template <class F>
  DENSENET_INLINE static void over_pixels(const MaxPool<T>& task, const Window& window, const F& f) {
    for (std::int64_t row = window.first_row; row < window.last_row; ++row) {
      for (std::int64_t column = window.first_column; column < window.last_column; ++column) {
        f((row * task.width) + column);
      }
    }
  }

  DENSENET_INLINE static V normalized(const MaxPool<T>& task, const T* x, std::int64_t c) {
    return (load<S>(x) * load<S>(task.norm.scale + c)) + load<S>(task.norm.shift + c);
  }

  DENSENET_INLINE static V largest(const MaxPool<T>& task, const Window& window, const T* x, std::int64_t ldx,
                                   std::int64_t c) {
    V best{};
    over_pixels(task, window, [&](std::int64_t pixel) {
      const V value = normalized(task, x + (pixel * ldx) + c, c);
      // Once NaN, always NaN: a network that has broken must show it.
      best = best < value ? value : best;
      best = value != value ? value : best;  // NOLINT(misc-redundant-expression): only NaN is not itself
    });
    return best;
  }
};

}  // namespace densenet::engine
