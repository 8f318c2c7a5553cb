#include "core/engine/winograd.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/engine/chunks.h"
#include "core/engine/scratch.h"

namespace densenet::engine {

namespace {

/// Tiles that a thread takes at a time. Forward, all channels of these tiles are held (a third of a megabyte);
/// backward, a panel of them.
constexpr std::int64_t kForwardGroup = 16;
constexpr std::int64_t kBackwardGroup = 32;

/// Input channels that are transformed at a time on the way forward.
constexpr std::int64_t kForwardDepth = 128;

constexpr std::int64_t kPatch = std::int64_t{kTileInput} * kTileInput;

/// A batch's tiles, image by image, in groups: by size alone, since sums go group by group.
class TileGroups {
 public:
  TileGroups(const Pixels& pixels, std::int64_t group)
      : pixels_(pixels),
        down_(ceil_div(pixels.height, kTileOutput)),
        across_(ceil_div(pixels.width, kTileOutput)),
        tiles_(pixels.images * down_ * across_),
        count_(ceil_div(tiles_, group)) {}

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] std::int64_t tiles() const { return tiles_; }

  /// Multiply-adds of a product of `in` by `out` channels at all frequencies.
  [[nodiscard]] std::int64_t work(std::int64_t in, std::int64_t out) const { return tiles_ * kFrequencies * in * out; }

  /// The tiles of a group, for which `into` has room.
  [[nodiscard]] WinogradTiles tiles_of(std::int64_t group, WinogradTile* into) const {
    const Range range = part_of(tiles_, count_, group);
    for (std::int64_t index = range.begin; index < range.end; ++index) into[index - range.begin] = tile(index);
    return {.tile = into, .count = range.size(), .pitch = pixels_.width};
  }

 private:
  [[nodiscard]] WinogradTile tile(std::int64_t index) const {
    const std::int64_t image = index / (down_ * across_);
    const std::int64_t y = (index / across_ % down_) * kTileOutput;
    const std::int64_t x = (index % across_) * kTileOutput;
    const auto most = [](std::int64_t limit, std::int64_t left) { return static_cast<int>(std::min(limit, left)); };
    return {.pixel = (((image * pixels_.height) + y) * pixels_.width) + x,
            .rows = most(kTileOutput, pixels_.height - y),
            .columns = most(kTileOutput, pixels_.width - x),
            .top = y == 0 ? 1 : 0,
            .bottom = most(kTileInput, pixels_.height - y + 1),
            .left = x == 0 ? 1 : 0,
            .right = most(kTileInput, pixels_.width - x + 1)};
  }

  Pixels pixels_;
  std::int64_t down_;
  std::int64_t across_;
  std::int64_t tiles_;
  std::int64_t count_;
};

/// The place of a group's matrices in a thread's scratch memory. Frequencies that are a power of two apart would fall
/// on the same few cache lines.
struct Layout {
  std::int64_t frequency;
  std::int64_t panel;
  std::int64_t size;

  Layout(std::int64_t tiles, std::int64_t panels)
      : frequency((tiles + 1) * kPanel), panel(frequency * kFrequencies), size(panel * panels) {}

  template <class T>
  [[nodiscard]] FrequencyPanels<T> at(T* data) const {
    return {.data = data, .frequency = frequency, .panel = panel};
  }
};

/// The finished gradients under a tile, 6×6 pixels with zeros where the tile is outside the image.
template <class T>
void fill_patch(const OpenGradient<T>& dy, const WinogradTile& tile, std::int64_t pitch, T* patch, std::int64_t ld) {
  if (!tile.inside()) std::fill_n(patch, kPatch * ld, T{0});
  const std::int64_t first = tile.pixel - pitch - 1;
  for (int row = 0; row < kTileInput; ++row) {  // the next tile's, as a rule the next four columns
    for (int column = kTileInput; column < kTileInput + kTileOutput; ++column) {
      const std::int64_t pixel = first + (row * pitch) + column;
      __builtin_prefetch(dy.g + (pixel * dy.ldg));
      __builtin_prefetch(dy.x + (pixel * dy.ldx));
    }
  }
  for (int row = tile.top; row < tile.bottom; ++row) {
    dy.finish(first + (row * pitch) + tile.left, tile.right - tile.left,
              patch + (((row * kTileInput) + tile.left) * ld), ld);
  }
}

/// The tile that a patch is, whose first output is its second pixel of its second row.
constexpr WinogradTile kPatchTile{.pixel = kTileInput + 1};
constexpr WinogradTiles kOnePatch{.tile = &kPatchTile, .count = 1, .pitch = kTileInput};

}  // namespace

bool winograd_pays(const Pixels& pixels) {
  const std::int64_t covered =
      ceil_div(pixels.height, kTileOutput) * ceil_div(pixels.width, kTileOutput) * kTileOutput * kTileOutput;
  return covered <= 2 * pixels.height * pixels.width;
}

template <class T>
void winograd_forward(const SpatialForward<T>& pass) {
  const TileGroups groups(pass.pixels, kForwardGroup);
  const std::int64_t panels = ceil_div(pass.out, kPanel);
  const std::int64_t parts = column_parts(groups.count(), panels, 1);
  const std::int64_t depth_at_once = std::min(pass.in, kForwardDepth);
  const Layout input(kForwardGroup, ceil_div(depth_at_once, kPanel));
  const Layout product(kForwardGroup, ceil_div(panels, parts));
  const std::int64_t ldo = panels * kPanel;
  const std::int64_t outputs = kForwardGroup * kTileOutput * kTileOutput * ldo;
  const std::int64_t size = input.size + product.size + outputs;
  T* scratch = scratch_memory<T>(at::get_num_threads() * size);
  TileStatistics<T> group_statistics(pass.statistics != nullptr ? groups.count() : 0, pass.out);
  for_items(groups.count() * parts, groups.work(pass.in, pass.out), [&](std::int64_t item, std::int64_t slot) {
    const std::int64_t group = item / parts;
    const Range columns = part_of(panels, parts, item % parts);
    const Range channels{.begin = columns.begin * kPanel, .end = std::min(columns.end * kPanel, pass.out)};
    std::array<WinogradTile, kForwardGroup> memory;
    const WinogradTiles tiles = groups.tiles_of(group, memory.data());
    T* v = scratch + (slot * size);
    T* m = v + input.size;
    T* y = m + product.size;
    for (std::int64_t k = 0; k < pass.in; k += depth_at_once) {
      const std::int64_t depth = std::min(depth_at_once, pass.in - k);
      Affine<T> norm{};
      if (pass.norm) norm = {.scale = pass.norm->scale + k, .shift = pass.norm->shift + k, .mean = nullptr};
      kernels<T>().winograd_input(
          {.tiles = tiles, .x = pass.x + k, .ldx = pass.ldx, .channels = depth, .norm = norm, .v = input.at(v)});
      kernels<T>().winograd_product({.tiles = tiles.count,
                                     .first = k,
                                     .depth = depth,
                                     .all_depth = pass.in,
                                     .first_panel = columns.begin,
                                     .last_panel = columns.end,
                                     .v = input.at<const T>(v),
                                     .u = pass.weight,
                                     .m = product.at(m),
                                     .accumulate = k > 0});
    }
    kernels<T>().winograd_output(
        {.tiles = tiles, .m = product.at<const T>(m), .panels = columns.size(), .y = y + channels.begin, .ldy = ldo});
    T* row_of_outputs = y;
    for (std::int64_t index = 0; index < tiles.count; ++index) {
      const WinogradTile& tile = tiles.tile[index];
      for (int row = 0; row < tile.rows; ++row) {
        const std::int64_t pixel = tile.pixel + (row * tiles.pitch);
        if (pass.mask != nullptr) pass.mask->apply(row_of_outputs, ldo, pixel, tile.columns, channels);
        for (int column = 0; column < tile.columns; ++column) {
          std::copy_n(row_of_outputs + channels.begin, channels.size(),
                      pass.y + ((pixel + column) * pass.ldy) + channels.begin);
          row_of_outputs += ldo;
        }
      }
    }
    if (pass.statistics != nullptr) {
      group_statistics.measure(group, y + channels.begin, ldo, (row_of_outputs - y) / ldo, channels.begin,
                               channels.size());
    }
  });
  if (pass.statistics != nullptr) group_statistics.merge(*pass.statistics, pass.statistics_offset, pass.out);
}

template <class T>
ConvolutionGradients winograd_backward(const SpatialBackward<T>& pass) {
  const TileGroups groups(pass.pixels, kBackwardGroup);
  const std::int64_t out = pass.dy.channels;
  const std::int64_t panels = ceil_div(pass.in, kPanel);
  const std::int64_t chunks = sum_chunks(groups.count(), 4);
  const std::int64_t parts = column_parts(chunks, panels, 2);
  const WeightChunks<T> weights(pass.original, chunks);
  const std::int64_t ldg = whole_panels(out);
  const Layout gradient(kBackwardGroup, ceil_div(out, kPanel));  // of two: for the input's gradient, for the weight's
  const Layout one_panel(kBackwardGroup, 1);
  const std::int64_t panel_weights = kFrequencies * out * kPanel;
  const std::int64_t most_panels = ceil_div(panels, parts);
  const std::int64_t size =
      (kPatch * ldg) + (2 * gradient.size) + one_panel.size + (weights.wanted() ? most_panels * panel_weights : 0);
  T* scratch = scratch_memory<T>(at::get_num_threads() * size);
  ChunkSums<T> sums(chunks, pass.in);
  for_items(chunks * parts, 2 * groups.work(pass.in, out), [&](std::int64_t item, std::int64_t slot) {
    const std::int64_t chunk = item / parts;
    const Range columns = part_of(panels, parts, item % parts);
    T* patch = scratch + (slot * size);
    T* transformed = patch + (kPatch * ldg);
    T* adjoint = transformed + gradient.size;
    T* rows = adjoint + gradient.size;
    T* du = rows + one_panel.size;
    if (weights.wanted()) std::fill_n(du, columns.size() * panel_weights, T{0});
    const Range own = part_of(groups.count(), chunks, chunk);
    for (std::int64_t group = own.begin; group < own.end; ++group) {
      std::array<WinogradTile, kBackwardGroup> memory;
      const WinogradTiles tiles = groups.tiles_of(group, memory.data());
      for (std::int64_t index = 0; index < tiles.count; ++index) {
        fill_patch(pass.dy, tiles.tile[index], tiles.pitch, patch, ldg);
        kernels<T>().winograd_input({.tiles = kOnePatch,
                                     .x = patch,
                                     .ldx = ldg,
                                     .channels = out,
                                     .norm = {},
                                     .v = gradient.at(transformed + (index * kPanel))});
        if (!weights.wanted()) continue;
        kernels<T>().winograd_gradient({.tiles = kOnePatch,
                                        .g = patch,
                                        .ldg = ldg,
                                        .channels = out,
                                        .d = gradient.at(adjoint + (index * kPanel))});
      }
      sums.start_tile(slot, columns);
      for (std::int64_t panel = columns.begin; panel < columns.end; ++panel) {
        const std::int64_t column = panel * kPanel;
        if (weights.wanted()) {
          kernels<T>().winograd_input(
              {.tiles = tiles,
               .x = pass.x + column,
               .ldx = pass.ldx,
               .channels = kPanel,
               .norm = {.scale = pass.norm.scale + column, .shift = pass.norm.shift + column, .mean = nullptr},
               .v = one_panel.at(rows)});
          kernels<T>().winograd_weight({.tiles = tiles.count,
                                        .channels = out,
                                        .d = gradient.at<const T>(adjoint),
                                        .v = one_panel.at<const T>(rows),
                                        .du = du + ((panel - columns.begin) * panel_weights)});
        }
        kernels<T>().winograd_product({.tiles = tiles.count,
                                       .first = 0,
                                       .depth = out,
                                       .all_depth = out,
                                       .first_panel = panel,
                                       .last_panel = panel + 1,
                                       .v = gradient.at<const T>(transformed),
                                       .u = pass.weight,
                                       .m = one_panel.at(rows),
                                       .accumulate = false});
        kernels<T>().winograd_backward({.tiles = tiles,
                                        .m = one_panel.at<const T>(rows),
                                        .column = column,
                                        .end = {.x = pass.x,
                                                .ldx = pass.ldx,
                                                .norm = pass.norm,
                                                .out = pass.dx,
                                                .ldo = pass.ldd,
                                                .accumulate = pass.accumulate,
                                                .sum_g = sums.tile_g(slot),
                                                .sum_gx = sums.tile_gx(slot)}});
      }
      sums.end_tile(slot, chunk, columns);
    }
    if (!weights.wanted()) return;
    for (std::int64_t panel = columns.begin; panel < columns.end; ++panel) {
      kernels<T>().winograd_transform_backward(du + ((panel - columns.begin) * panel_weights), out, out,
                                               weights.chunk(chunk) + (panel * 9 * out * kPanel));
    }
  });
  return {.sums = sums.total(), .weight = weights.total()};
}

template void winograd_forward<float>(const SpatialForward<float>&);
template void winograd_forward<double>(const SpatialForward<double>&);
template ConvolutionGradients winograd_backward<float>(const SpatialBackward<float>&);
template ConvolutionGradients winograd_backward<double>(const SpatialBackward<double>&);

}  // namespace densenet::engine
