#pragma once

#include "core/engine/cpu/panels.h"

/// Passes over a tile that are not products. They run over whole vectors: up to a panel more than `channels`.
namespace densenet::engine {

template <class Arch, class T>
struct Elementwise {
  using S = typename Arch::Line;
  using V = typename S::Vector;
  static constexpr std::int64_t kLanes = S::kLanes;

  static void normalize(const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels, const Affine<T>& norm,
                        T* y, std::int64_t ldy) {
    constexpr std::int64_t kAhead = 6;  // rows; they are long, and only their beginnings are read
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        __builtin_prefetch(x + (kAhead * ldx) + c);
        const V value = (load<S>(x + c) * load<S>(norm.scale + c)) + load<S>(norm.shift + c);
        store<S>(y + c, rectified(value));
      }
      x += ldx;
      y += ldy;
    }
  }

  static void normalize_panels(const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t first_panel,
                               std::int64_t last_panel, const Affine<T>& norm, T* y, std::int64_t panel_stride) {
    for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
      const std::int64_t column = panel * kPanel;
      const Affine<T> part{.scale = norm.scale + column, .shift = norm.shift + column, .mean = nullptr};
      normalize(x + column, ldx, rows, kPanel, part, y, kPanel);
      y += panel_stride;
    }
  }

  static void correct(const T* g, std::int64_t ldg, const T* x, std::int64_t ldx, std::int64_t rows,
                      std::int64_t channels, const T* scale, const T* p, const T* q, const T* mean, T* out,
                      std::int64_t ldo) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const V deviation = load<S>(x + c) - load<S>(mean + c);
        store<S>(out + c, (load<S>(scale + c) * load<S>(g + c)) + load<S>(p + c) + (load<S>(q + c) * deviation));
      }
      g += ldg;
      x += ldx;
      out += ldo;
    }
  }

  /// Twice over the tile, which is in the cache: Σx² − (Σx)²/n would lose what a large mean leaves of it.
  static void statistics(const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels, T* mean,
                         T* deviations) {
    const T share = T{1} / static_cast<T>(rows);
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      V sum{};
      for (std::int64_t row = 0; row < rows; ++row) sum += load<S>(x + (row * ldx) + c);
      const V average = sum * share;
      V squares{};
      for (std::int64_t row = 0; row < rows; ++row) {
        const V deviation = load<S>(x + (row * ldx) + c) - average;
        squares += deviation * deviation;
      }
      store<S>(mean + c, average);
      store<S>(deviations + c, squares);
    }
  }

  static void sums(const T* g, std::int64_t ldg, const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t channels,
                   const T* mean, T* sum_g, T* sum_gx) {
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      const V average = load<S>(mean + c);
      V all_g = load<S>(sum_g + c);
      V all_gx = load<S>(sum_gx + c);
      for (std::int64_t row = 0; row < rows; ++row) {
        const V gradient = load<S>(g + (row * ldg) + c);
        all_g += gradient;
        all_gx += gradient * (load<S>(x + (row * ldx) + c) - average);
      }
      store<S>(sum_g + c, all_g);
      store<S>(sum_gx + c, all_gx);
    }
  }

  static void pool(const PooledNorm<T>& task, const T* x, std::int64_t ldx, T* y, std::int64_t ldy) {
    const T share = T{1} / static_cast<T>(task.height * task.width);
    for (std::int64_t output = 0; output < task.outputs; ++output) {
      for (std::int64_t c = 0; c < task.channels; c += kLanes) {
        const V scale = load<S>(task.norm.scale + c);
        const V shift = load<S>(task.norm.shift + c);
        V sum{};
        for (std::int64_t row = 0; row < task.height; ++row) {
          const T* pixel = x + (row * task.pitch * ldx) + c;
          V line{};  // a large image's sum is more exact line by line
          for (std::int64_t column = 0; column < task.width; ++column) {
            line += rectified((load<S>(pixel + (column * ldx)) * scale) + shift);
          }
          sum += line;
        }
        store<S>(y + c, sum * share);
      }
      x += task.width * ldx;
      y += ldy;
    }
  }

  static void pool_backward(const PooledNorm<T>& task, const T* dy, std::int64_t lddy, const NormBackward<T>& end) {
    const T share = T{1} / static_cast<T>(task.height * task.width);
    const V zero{};
    const T* x = end.x;
    T* out = end.out;
    for (std::int64_t output = 0; output < task.outputs; ++output) {
      for (std::int64_t c = 0; c < task.channels; c += kLanes) {
        const V scale = load<S>(task.norm.scale + c);
        const V shift = load<S>(task.norm.shift + c);
        const V mean = load<S>(task.norm.mean + c);
        const V gradient = load<S>(dy + c) * share;
        V sum_g = load<S>(end.sum_g + c);
        V sum_gx = load<S>(end.sum_gx + c);
        for (std::int64_t row = 0; row < task.height; ++row) {
          for (std::int64_t column = 0; column < task.width; ++column) {
            const std::int64_t pixel = (row * task.pitch) + column;
            const V value = load<S>(x + (pixel * end.ldx) + c);
            const V g = (value * scale) + shift > zero ? gradient : zero;
            sum_g += g;
            sum_gx += g * (value - mean);
            store<S>(out + (pixel * end.ldo) + c, scale * g);
          }
        }
        store<S>(end.sum_g + c, sum_g);
        store<S>(end.sum_gx + c, sum_gx);
      }
      x += task.width * end.ldx;
      out += task.width * end.ldo;
      dy += lddy;
    }
  }
};

}  // namespace densenet::engine
