#include <algorithm>
#include <vector>

#include "core/engine/chunks.h"
#include "core/engine/passes.h"
#include "core/engine/scratch.h"
#include "core/engine/winograd.h"

namespace densenet::engine {

template <class T>
void OpenGradient<T>::finish(std::int64_t first_pixel, std::int64_t rows, T* out, std::int64_t ldo) const {
  kernels<T>().correct(g + (first_pixel * ldg), ldg, x + (first_pixel * ldx), ldx, rows, channels, scale, p, q, mean,
                       out, ldo);
  if (mask != nullptr) mask->apply(out, ldo, first_pixel, rows, {.begin = 0, .end = channels});
}

template <class T>
ConvolutionGradients PointwiseBackward<T>::run() const {
  const Tiles tiles(pixels);
  const std::int64_t out = dy.channels;
  const std::int64_t panels = ceil_div(in, kPanel);
  const std::int64_t chunks = sum_chunks(tiles.count, 4);
  const std::int64_t parts = column_parts(chunks, panels, 2);
  const std::int64_t dy_row = whole_panels(out) + kPanel;
  const std::int64_t size = kTileRows * (dy_row + kPanel);
  T* scratch = scratch_memory<T>(at::get_num_threads() * size);
  ChunkSums<T> sums(chunks, in);
  const WeightChunks<T> weights(original, chunks);
  for_items(chunks * parts, pixels * 2 * in * out, [&](std::int64_t item, std::int64_t slot) {
    const std::int64_t chunk = item / parts;
    const Range columns = part_of(panels, parts, item % parts);
    weights.start(chunk, columns);
    T* finished = scratch + (slot * size);
    const Range own = part_of(tiles.count, chunks, chunk);
    for (std::int64_t tile = own.begin; tile < own.end; ++tile) {
      const Range rows = tiles[tile];
      dy.finish(rows.begin, rows.size(), finished, dy_row);
      sums.start_tile(slot, columns);
      kernels<T>().product_backward({.rows = rows.size(),
                                     .depth = out,
                                     .columns = in,
                                     .first_panel = columns.begin,
                                     .last_panel = columns.end,
                                     .dy = finished,
                                     .lddy = dy_row,
                                     .b = weight,
                                     .end = {.x = x + (rows.begin * ldx),
                                             .ldx = ldx,
                                             .norm = norm,
                                             .out = dx + (rows.begin * ldd),
                                             .ldo = ldd,
                                             .accumulate = true,
                                             .sum_g = sums.tile_g(slot),
                                             .sum_gx = sums.tile_gx(slot)},
                                     .dw = weights.chunk(chunk),
                                     .scratch = finished + (kTileRows * dy_row)});
      sums.end_tile(slot, chunk, columns);
    }
  });
  return {.sums = sums.total(), .weight = weights.total()};
}

template <class T>
ConvolutionGradients SpatialBackward<T>::run() const {
  if (winograd_pays(pixels)) return winograd_backward(*this);
  const Strips strips(pixels);
  const std::int64_t out = dy.channels;
  const std::int64_t panels = ceil_div(in, kPanel);
  const std::int64_t chunks = sum_chunks(strips.count, 4);
  const std::int64_t parts = column_parts(chunks, panels, 2);
  const std::int64_t gradient_size = whole_panels(strips.padded() * out) + kPanel;
  const std::int64_t panel_size = strips.padded() * kPanel;
  const WeightChunks<T> weights(original, chunks);
  const std::int64_t size = gradient_size + (weights.wanted() ? ceil_div(panels, parts) * panel_size : 0);
  T* scratch = scratch_memory<T>(at::get_num_threads() * size);
  ChunkSums<T> sums(chunks, in);
  for_items(chunks * parts, pixels.count() * 18 * in * out, [&](std::int64_t item, std::int64_t slot) {
    const std::int64_t chunk = item / parts;
    const Range columns = part_of(panels, parts, item % parts);
    weights.start(chunk, columns);
    T* gradient = scratch + (slot * size);
    T* inputs = gradient + gradient_size;
    const Range own = part_of(strips.count, chunks, chunk);
    for (std::int64_t index = own.begin; index < own.end; ++index) {
      const StripPlace place = strips[index];
      const std::int64_t first = strips.first_pixel(place);
      fill_strip(strips, place, out, gradient,
                 [&](std::int64_t pixel, T* row) { dy.finish(pixel, pixels.width, row, out); });
      sums.start_tile(slot, columns);
      kernels<T>().strip_backward({.product = {.rows = place.rows.size(),
                                               .width = pixels.width,
                                               .depth = out,
                                               .columns = in,
                                               .first_panel = columns.begin,
                                               .last_panel = columns.end,
                                               .strip = gradient,
                                               .b = weight,
                                               .c = nullptr,
                                               .ldc = 0},
                                   .end = {.x = x + (first * ldx),
                                           .ldx = ldx,
                                           .norm = norm,
                                           .out = dx + (first * ldd),
                                           .ldo = ldd,
                                           .accumulate = accumulate,
                                           .sum_g = sums.tile_g(slot),
                                           .sum_gx = sums.tile_gx(slot)}});
      sums.end_tile(slot, chunk, columns);
      if (!weights.wanted()) continue;
      const std::int64_t stride = (place.rows.size() + 2) * (pixels.width + 2) * kPanel;
      T* panel_row = inputs;
      for (std::int64_t panel = columns.begin; panel < columns.end; ++panel) {
        fill_strip(strips, place, kPanel, panel_row, [&](std::int64_t pixel, T* row) {
          kernels<T>().normalize_panels(x + (pixel * ldx), ldx, pixels.width, panel, panel + 1, norm, row, stride);
        });
        panel_row += stride;
      }
      kernels<T>().strip_weight({.rows = place.rows.size(),
                                 .width = pixels.width,
                                 .channels = out,
                                 .first_panel = columns.begin,
                                 .last_panel = columns.end,
                                 .g = gradient,
                                 .t = inputs,
                                 .dw = weights.chunk(chunk)});
    }
  });
  return {.sums = sums.total(), .weight = weights.total()};
}

template struct OpenGradient<float>;
template struct OpenGradient<double>;
template struct PointwiseBackward<float>;
template struct PointwiseBackward<double>;
template struct SpatialBackward<float>;
template struct SpatialBackward<double>;

}  // namespace densenet::engine
