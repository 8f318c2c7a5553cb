#pragma once

#include "core/engine/cpu/panels.h"

namespace densenet::engine {

/// The 3×3 convolutions on strips. A strip's row holds width + 2 pixels one after the other, so that for each row of
/// the kernel the three pixels under it are one run of 3·depth values: a product of that depth.
template <class Arch, class T>
struct Strip {
  static void product(const StripProduct<T>& task) {
    over_pixels(task, [&](auto& tile, PanelPlace place, std::int64_t pixel)
                          DENSENET_INLINE_LAMBDA { tile.write(task.c + (pixel * task.ldc) + place.column, task.ldc); });
  }

  static void backward(const StripBackward<T>& task) {
    over_pixels(task.product, [&](auto& tile, PanelPlace place, std::int64_t pixel)
                                  DENSENET_INLINE_LAMBDA { finish_backward(tile, task.end, pixel, place.column); });
  }

  static void weight(const StripWeight<T>& task) {
    using S = typename Arch::Full;
    const std::int64_t pitch = task.width + 2;
    const T* g = task.g + ((pitch + 1) * task.channels);  // the first pixel inside the strip
    const T* t = task.t;
    for (std::int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      for (std::int64_t position = 0; position < 9; ++position) {
        const T* neighbour = t + ((((position / 3) * pitch) + (position % 3)) * kPanel);
        T* dw = task.dw + (((panel * 9) + position) * task.channels * kPanel);
        in_groups<S::kRows>(task.channels, [&](auto rows, std::int64_t channel) DENSENET_INLINE_LAMBDA {
          Tile<S, rows> tile;
          tile.read(dw + (channel * kPanel), kPanel);
          for (std::int64_t row = 0; row < task.rows; ++row) {
            tile.multiply_outer(g + (row * pitch * task.channels) + channel, task.channels,
                                neighbour + (row * pitch * kPanel), kPanel, task.width);
          }
          tile.write(dw + (channel * kPanel), kPanel);
        });
      }
      t += (task.rows + 2) * pitch * kPanel;
    }
  }

 private:
  template <class End>
  DENSENET_INLINE static void over_pixels(const StripProduct<T>& task, const End& end) {
    const std::int64_t pitch = (task.width + 2) * task.depth;
    for_panels<Arch>(task.columns, task.first_panel, task.last_panel,
                     [&](auto shape, PanelPlace place) DENSENET_INLINE_LAMBDA {
                       using S = decltype(shape);
                       const T* b = task.b + (place.index * kPanel * 9 * task.depth);
                       const std::int64_t run = 3 * task.depth;
                       for (std::int64_t row = 0; row < task.rows; ++row) {
                         in_groups<S::kRows>(task.width, [&](auto pixels, std::int64_t pixel) DENSENET_INLINE_LAMBDA {
                           const T* a = task.strip + (row * pitch) + (pixel * task.depth);
                           Tile<S, pixels> tile;
                           tile.multiply(a, task.depth, b, run);
                           tile.multiply(a + pitch, task.depth, b + (run * S::kWidth), run);
                           tile.multiply(a + (2 * pitch), task.depth, b + (2 * run * S::kWidth), run);
                           end(tile, place, (row * task.width) + pixel);
                         });
                       }
                     });
  }
};

}  // namespace densenet::engine
