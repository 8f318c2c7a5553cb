#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>

#include "core/engine/buffer.h"
#include "core/engine/cpu/kernels.h"
#include "core/engine/parallel.h"

namespace densenet::engine {

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t whole_panels(std::int64_t channels) { return ceil_div(channels, kPanel) * kPanel; }

/// The pixels of a batch.
struct Pixels {
  std::int64_t images;
  std::int64_t height;
  std::int64_t width;

  [[nodiscard]] std::int64_t count() const { return images * height * width; }
};

/// Pixels by channels in rows that are padded to whole panels, so that kernels may run over the end of a row: the
/// padding of a row is theirs to spoil.
struct Rows {
  at::Tensor memory;  ///< pixels × ld
  std::int64_t ld = 0;

  Rows() = default;
  Rows(std::int64_t pixels, std::int64_t columns, const at::TensorOptions& options)
      : memory(make_buffer(pixels, columns, options)), ld(columns) {}

  template <class T>
  [[nodiscard]] T* data() const {
    return memory.mutable_data_ptr<T>();
  }

  /// Some of the rows, in the same memory.
  [[nodiscard]] Rows part(std::int64_t first, std::int64_t count) const {
    Rows rows;
    rows.memory = memory.narrow(0, first, count);
    rows.ld = ld;
    return rows;
  }

  /// N×channels×H×W, a view.
  [[nodiscard]] at::Tensor as_images(const Pixels& pixels, std::int64_t channels) const {
    return memory.as_strided({pixels.images, channels, pixels.height, pixels.width},
                             {pixels.height * pixels.width * ld, 1, pixels.width * ld, ld}, memory.storage_offset());
  }
};

/// Rows of a matrix in tiles, by its size alone: sums that go tile by tile are the same for every number of threads.
struct Tiles {
  std::int64_t rows;
  std::int64_t count;

  explicit Tiles(std::int64_t all) : rows(all), count(ceil_div(all, kTileRows)) {}

  [[nodiscard]] Range operator[](std::int64_t tile) const { return part_of(rows, count, tile); }
};

/// A part of one image: some whole rows of pixels.
struct StripPlace {
  std::int64_t image;
  Range rows;
};

/// Images in strips of about a hundred pixels. Again by size alone.
struct Strips {
  Pixels pixels;
  std::int64_t per_image;
  std::int64_t count;

  explicit Strips(const Pixels& all)
      : pixels(all),
        per_image(ceil_div(all.height, std::max<std::int64_t>(1, 128 / all.width))),
        count(all.images * per_image) {}

  [[nodiscard]] std::int64_t most_rows() const { return ceil_div(pixels.height, per_image); }

  /// Pixels of the largest strip with the zeros around it.
  [[nodiscard]] std::int64_t padded() const { return (most_rows() + 2) * (pixels.width + 2); }

  [[nodiscard]] StripPlace operator[](std::int64_t strip) const {
    return {.image = strip / per_image, .rows = part_of(pixels.height, per_image, strip % per_image)};
  }

  /// The number of its first pixel.
  [[nodiscard]] std::int64_t first_pixel(const StripPlace& place) const {
    return ((place.image * pixels.height) + place.rows.begin) * pixels.width;
  }
};

/// How many separate sums the gradient of a weight is added up in: enough to share among threads, few enough to add.
inline std::int64_t sum_chunks(std::int64_t tiles, std::int64_t tiles_a_chunk) {
  return std::clamp<std::int64_t>(tiles / tiles_a_chunk, 1, 16);
}

}  // namespace densenet::engine
