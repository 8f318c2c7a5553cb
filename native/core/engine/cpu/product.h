#pragma once

#include "core/engine/cpu/elementwise.h"

namespace densenet::engine {

/// The 1×1 convolutions: products of a tile of pixels with a matrix of weights.
template <class Arch, class T>
struct Product {
  static void normalized(const NormalizedProduct<T>& task) {
    constexpr std::int64_t kScratchRow = kDepth + kPanel;  // not a power of two, against cache aliasing
    std::int64_t k = 0;
    do {
      const std::int64_t depth = task.depth - k < kDepth ? task.depth - k : kDepth;
      const bool last = k + depth == task.depth;
      const T* a = task.a + k;
      std::int64_t lda = task.lda;
      if (task.norm.scale != nullptr) {
        const Affine<T> norm{.scale = task.norm.scale + k, .shift = task.norm.shift + k, .mean = nullptr};
        Elementwise<Arch, T>::normalize(a, lda, task.rows, depth, norm, task.scratch, kScratchRow);
        a = task.scratch;
        lda = kScratchRow;
      }
      for_panels<Arch>(
          task.columns, task.first_panel, task.last_panel, [&](auto shape, PanelPlace place) DENSENET_INLINE_LAMBDA {
            using S = decltype(shape);
            const T* b = task.b + (place.index * kPanel * task.depth) + (k * S::kWidth);
            const T* bias = last && task.bias != nullptr ? task.bias + place.column : nullptr;
            in_groups<S::kRows>(task.rows, [&](auto rows, std::int64_t row) DENSENET_INLINE_LAMBDA {
              T* c = task.c + (row * task.ldc) + place.column;
              Tile<S, rows> tile;
              if (k > 0) tile.read(c, task.ldc);
              tile.multiply(a + (row * lda), lda, b, depth);
              if (bias != nullptr) {
                tile.each([&](auto /*row*/, auto vector, typename S::Vector& sum)
                              DENSENET_INLINE_LAMBDA { sum = rectified(sum + load<S>(bias + (vector * S::kLanes))); });
              }
              tile.write(c, task.ldc);
            });
          });
      k += depth;
    } while (k < task.depth);
  }

  /// Panel by panel: the panel's normalised values are made again and serve the weights' gradient and nothing else; the
  /// product's rows end in the batch norm's backward pass while they are in registers.
  static void backward(const ProductBackward<T>& task) {
    for_panels<Arch>(task.columns, task.first_panel, task.last_panel,
                     [&](auto shape, PanelPlace place) DENSENET_INLINE_LAMBDA {
                       using S = decltype(shape);
                       if (task.b != nullptr) {
                         const T* b = task.b + (place.index * kPanel * task.depth);
                         in_groups<S::kRows>(task.rows, [&](auto rows, std::int64_t row) DENSENET_INLINE_LAMBDA {
                           Tile<S, rows> tile;
                           tile.multiply(task.dy + (row * task.lddy), task.lddy, b, task.depth);
                           finish_backward(tile, task.end, row, place.column);
                         });
                       }
                       if (task.dw != nullptr) weight(task, place);
                     });
  }

 private:
  static void weight(const ProductBackward<T>& task, PanelPlace place) {
    using S = typename Arch::Full;
    const Affine<T> norm{
        .scale = task.end.norm.scale + place.column, .shift = task.end.norm.shift + place.column, .mean = nullptr};
    Elementwise<Arch, T>::normalize(task.end.x + place.column, task.end.ldx, task.rows, kPanel, norm, task.scratch,
                                    kPanel);
    T* dw = task.dw + (place.index * task.depth * kPanel);
    in_groups<S::kRows>(task.depth, [&](auto rows, std::int64_t row) DENSENET_INLINE_LAMBDA {
      Tile<S, rows> tile;
      tile.read(dw + (row * kPanel), kPanel);
      tile.multiply_outer(task.dy + row, task.lddy, task.scratch, kPanel, task.rows);
      tile.write(dw + (row * kPanel), kPanel);
    });
  }
};

}  // namespace densenet::engine
