#include <algorithm>
#include <utility>

#include "core/engine/passes.h"
#include "core/engine/scratch.h"
#include "core/engine/winograd.h"

namespace densenet::engine {

template <class T>
void DropMask::apply(T* x, std::int64_t ldx, std::int64_t first_pixel, std::int64_t rows, Range channels) const {
  const std::int64_t all = bytes.size(1);
  const auto* kept = bytes.const_data_ptr<std::uint8_t>() + (first_pixel * all);
  const T factor = static_cast<T>(scale);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t c = channels.begin; c < channels.end; ++c) x[c] = kept[c] != 0 ? x[c] * factor : T{0};
    x += ldx;
    kept += all;
  }
}

template <class T>
void measure(const Rows& x, std::int64_t channels, ChannelStatistics& into) {
  const Tiles tiles(x.memory.size(0));
  TileStatistics<T> statistics(tiles.count, channels);
  for_items(tiles.count, x.memory.size(0) * channels * kMove, [&](std::int64_t tile, std::int64_t /*slot*/) {
    const Range rows = tiles[tile];
    statistics.measure(tile, x.data<T>() + (rows.begin * x.ld), x.ld, rows.size(), 0, channels);
  });
  statistics.merge(into, 0, channels);
}

template <class T>
void PointwiseForward<T>::run() const {
  const Tiles tiles(pixels);
  const std::int64_t panels = ceil_div(out, kPanel);
  const std::int64_t parts = column_parts(tiles.count, panels, 2);
  constexpr std::int64_t kScratch = kTileRows * (kDepth + kPanel);
  T* scratch = scratch_memory<T>(at::get_num_threads() * kScratch);
  TileStatistics<T> tile_statistics(statistics != nullptr ? tiles.count : 0, out);
  for_items(tiles.count * parts, pixels * in * out, [&](std::int64_t item, std::int64_t slot) {
    const std::int64_t tile = item / parts;
    const Range rows = tiles[tile];
    const Range columns = part_of(panels, parts, item % parts);
    T* c = y.data<T>() + (rows.begin * y.ld);
    kernels<T>().normalized_product({.rows = rows.size(),
                                     .depth = in,
                                     .columns = out,
                                     .first_panel = columns.begin,
                                     .last_panel = columns.end,
                                     .a = x + (rows.begin * ldx),
                                     .lda = ldx,
                                     .norm = norm,
                                     .b = weight,
                                     .c = c,
                                     .ldc = y.ld,
                                     .bias = bias,
                                     .scratch = scratch + (slot * kScratch)});
    const Range channels{.begin = columns.begin * kPanel, .end = std::min(columns.end * kPanel, out)};
    if (mask != nullptr) mask->apply(c, y.ld, rows.begin, rows.size(), channels);
    if (statistics != nullptr) {
      tile_statistics.measure(tile, c + channels.begin, y.ld, rows.size(), channels.begin, channels.size());
    }
  });
  if (statistics != nullptr) tile_statistics.merge(*statistics, 0, out);
}

namespace {

/// The pass, its output written into rows of its own first.
template <class T>
void run_aside(SpatialForward<T> pass) {
  const Rows aside(pass.pixels.count(), whole_panels(pass.out), at::CppTypeToScalarType<T>::value);
  T* const y = std::exchange(pass.y, aside.data<T>());
  const std::int64_t ldy = std::exchange(pass.ldy, aside.ld);
  pass.run();
  const Tiles tiles(pass.pixels.count());
  for_items(tiles.count, tiles.rows * pass.out * kMove, [&](std::int64_t tile, std::int64_t /*slot*/) {
    const Range rows = tiles[tile];
    for (std::int64_t row = rows.begin; row < rows.end; ++row)
      std::copy_n(pass.y + (row * pass.ldy), pass.out, y + (row * ldy));
  });
}

}  // namespace

template <class T>
void SpatialForward<T>::run() const {
  // The input is read by whole panels, and the last of them may hold some of the output's channels: no thread may read
  // what another writes, even where it makes nothing of it.
  if (y == x + in && in % kPanel != 0) return run_aside(*this);
  if (winograd_pays(pixels)) return winograd_forward(*this);
  const Strips strips(pixels);
  const std::int64_t panels = ceil_div(out, kPanel);
  const std::int64_t parts = column_parts(strips.count, panels, 1);
  const std::int64_t size = (strips.padded() * in) + kPanel;
  T* scratch = scratch_memory<T>(at::get_num_threads() * size);
  TileStatistics<T> strip_statistics(statistics != nullptr ? strips.count : 0, out);
  for_items(strips.count * parts, pixels.count() * 9 * in * out, [&](std::int64_t item, std::int64_t slot) {
    const std::int64_t index = item / parts;
    const StripPlace place = strips[index];
    const Range columns = part_of(panels, parts, item % parts);
    T* strip = scratch + (slot * size);
    fill_strip(strips, place, in, strip, [&](std::int64_t pixel, T* row) {
      const T* from = x + (pixel * ldx);
      if (norm) {
        kernels<T>().normalize(from, ldx, pixels.width, in, *norm, row, in);
      } else {
        for (std::int64_t column = 0; column < pixels.width; ++column)
          std::copy_n(from + (column * ldx), in, row + (column * in));
      }
    });
    const std::int64_t first = strips.first_pixel(place);
    const std::int64_t count = place.rows.size() * pixels.width;
    T* c = y + (first * ldy);
    kernels<T>().strip_product({.rows = place.rows.size(),
                                .width = pixels.width,
                                .depth = in,
                                .columns = out,
                                .first_panel = columns.begin,
                                .last_panel = columns.end,
                                .strip = strip,
                                .b = weight,
                                .c = c,
                                .ldc = ldy});
    const Range channels{.begin = columns.begin * kPanel, .end = std::min(columns.end * kPanel, out)};
    if (mask != nullptr) mask->apply(c, ldy, first, count, channels);
    if (statistics != nullptr) {
      strip_statistics.measure(index, c + channels.begin, ldy, count, channels.begin, channels.size());
    }
  });
  if (statistics != nullptr) strip_statistics.merge(*statistics, statistics_offset, out);
}

template void DropMask::apply<float>(float*, std::int64_t, std::int64_t, std::int64_t, Range) const;
template void DropMask::apply<double>(double*, std::int64_t, std::int64_t, std::int64_t, Range) const;
template void measure<float>(const Rows&, std::int64_t, ChannelStatistics&);
template void measure<double>(const Rows&, std::int64_t, ChannelStatistics&);
template struct PointwiseForward<float>;
template struct PointwiseForward<double>;
template struct SpatialForward<float>;
template struct SpatialForward<double>;

}  // namespace densenet::engine
