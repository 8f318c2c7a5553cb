#pragma once

#include <cstdint>

#include "core/engine/cpu/kernels.h"
#include "core/engine/cpu/tile.h"

namespace densenet::engine {

/// Where one panel of a packed matrix lies.
struct PanelPlace {
  std::int64_t index;
  std::int64_t column;  ///< its first one
};

/// Calls f(shape, place) for each panel of [first, last): `Arch::Full` panels, and at the end of the columns perhaps an
/// `Arch::Half` one. All panels before a panel are full, so that panel p starts at row-count·kPanel·p.
template <class Arch, class F>
DENSENET_INLINE void for_panels(std::int64_t columns, std::int64_t first, std::int64_t last, const F& f) {
  for (std::int64_t panel = first; panel < last; ++panel) {
    const PanelPlace place{.index = panel, .column = panel * kPanel};
    if (columns - place.column > kPanel / 2) {
      f(typename Arch::Full{}, place);
    } else {
      f(typename Arch::Half{}, place);
    }
  }
}

/// The backward pass of a batch norm and ReLU on the gradients in a tile; see `NormBackward`. `column` is where the
/// panel starts, `row` the tile's first row.
template <class S, int R>
DENSENET_INLINE void finish_backward(Tile<S, R>& tile, const NormBackward<typename S::Value>& end, std::int64_t row,
                                     std::int64_t column) {
  using V = typename S::Vector;
  const auto* x = end.x + (row * end.ldx) + column;
  auto* out = end.out + (row * end.ldo) + column;
  V sum_g[S::kVectors];
  V sum_gx[S::kVectors];
  V scale[S::kVectors];
  V shift[S::kVectors];
  V mean[S::kVectors];
  unrolled<S::kVectors>([&](auto v) DENSENET_INLINE_LAMBDA {
    const std::int64_t channel = column + (v * S::kLanes);
    sum_g[v] = load<S>(end.sum_g + channel);
    sum_gx[v] = load<S>(end.sum_gx + channel);
    scale[v] = load<S>(end.norm.scale + channel);
    shift[v] = load<S>(end.norm.shift + channel);
    mean[v] = load<S>(end.norm.mean + channel);
  });
  const V zero{};
  tile.each([&](auto r, auto v, V& g) DENSENET_INLINE_LAMBDA {
    // The next panel's: one cache line of each of many long rows, which no processor foresees.
    __builtin_prefetch(x + (r * end.ldx) + (v * S::kLanes) + kPanel);
    __builtin_prefetch(out + (r * end.ldo) + (v * S::kLanes) + kPanel, 1);
    const V value = load<S>(x + (r * end.ldx) + (v * S::kLanes));
    g = (value * scale[v]) + shift[v] > zero ? g : zero;
    sum_g[v] += g;
    sum_gx[v] += g * (value - mean[v]);
    auto* place = out + (r * end.ldo) + (v * S::kLanes);
    store<S>(place, end.accumulate ? load<S>(place) + (scale[v] * g) : g);
  });
  unrolled<S::kVectors>([&](auto v) DENSENET_INLINE_LAMBDA {
    const std::int64_t channel = column + (v * S::kLanes);
    store<S>(end.sum_g + channel, sum_g[v]);
    store<S>(end.sum_gx + channel, sum_gx[v]);
  });
}

}  // namespace densenet::engine
