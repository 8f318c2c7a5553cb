#include "core/engine/tail.h"

#include <ATen/ATen.h>

#include <vector>

#include "core/engine/pack.h"

namespace densenet::engine {

namespace {

/// The windows over which a tail takes averages: the last row and column of an odd image belong to none.
struct Windows {
  std::int64_t height;
  std::int64_t width;
  Pixels pooled;

  Windows(TailKind kind, const Pixels& pixels)
      : height(kind == TailKind::kGlobal ? pixels.height : 2),
        width(kind == TailKind::kGlobal ? pixels.width : 2),
        pooled{.images = pixels.images, .height = pixels.height / height, .width = pixels.width / width} {}

  /// Rows of windows of the whole batch.
  [[nodiscard]] std::int64_t rows() const { return pooled.images * pooled.height; }

  /// The first pixel under a row of windows.
  [[nodiscard]] std::int64_t first_pixel(const Pixels& pixels, std::int64_t row) const {
    return (((row / pooled.height) * pixels.height) + ((row % pooled.height) * height)) * pixels.width;
  }

  template <class T>
  [[nodiscard]] PooledNorm<T> task(const Pixels& pixels, std::int64_t channels, const Affine<T>& norm) const {
    return {.channels = channels,
            .height = height,
            .width = width,
            .pitch = pixels.width,
            .outputs = pooled.width,
            .norm = norm};
  }
};

template <class T>
Rows pool(const Windows& windows, const Rows& x, const Pixels& pixels, std::int64_t channels, const Affine<T>& norm) {
  Rows pooled(windows.pooled.count(), whole_panels(channels) + kPanel, x.memory.options());
  const PooledNorm<T> task = windows.task(pixels, channels, norm);
  for_items(windows.rows(), pixels.count() * channels * kMove, [&](std::int64_t row, std::int64_t /*slot*/) {
    kernels<T>().pool(task, x.data<T>() + (windows.first_pixel(pixels, row) * x.ld), x.ld,
                      pooled.data<T>() + (row * windows.pooled.width * pooled.ld), pooled.ld);
  });
  return pooled;
}

/// A product of rows with packed weights, nothing normalised.
template <class T>
Rows multiply(const Rows& a, std::int64_t depth, const at::Tensor& packed, std::int64_t columns, std::int64_t ld) {
  Rows c(a.memory.size(0), ld, a.memory.options());
  PointwiseForward<T>{.x = a.data<T>(),
                      .ldx = a.ld,
                      .pixels = a.memory.size(0),
                      .in = depth,
                      .norm = {},
                      .weight = packed.const_data_ptr<T>(),
                      .out = columns,
                      .y = c,
                      .bias = nullptr,
                      .mask = nullptr,
                      .statistics = nullptr}
      .run();
  return c;
}

/// N×C×h×w as rows of pixels; a copy where its memory does not already lie so, with room behind each row.
template <class T>
Rows to_rows(const at::Tensor& images, const Pixels& pixels) {
  Rows rows(pixels.count(), whole_panels(images.size(1)), images.options().requires_grad(false));
  rows.as_images(pixels, images.size(1)).copy_(images);
  return rows;
}

/// Sets the gradient of the pixels that no window covers to zero.
void clear_uncovered(const Windows& windows, const Pixels& pixels, const Rows& gradient, std::int64_t channels) {
  const std::int64_t height = windows.pooled.height * windows.height;
  const std::int64_t width = windows.pooled.width * windows.width;
  const at::Tensor images = gradient.as_images(pixels, channels);
  if (height < pixels.height) images.narrow(2, height, pixels.height - height).zero_();
  if (width < pixels.width) images.narrow(3, width, pixels.width - width).zero_();
}

}  // namespace

template <class T>
at::Tensor tail_forward(const TailParts& tail, const Rows& x, const Pixels& pixels, std::int64_t channels,
                        const ChannelStatistics& statistics) {
  if (tail.kind == TailKind::kJoin) return x.as_images(pixels, channels);
  const Windows windows(tail.kind, pixels);
  const NormVectors<T> norm(tail.norm, statistics, x.ld);
  const Rows pooled = pool<T>(windows, x, pixels, channels, norm.view());
  if (tail.kind == TailKind::kGlobal) return pooled.memory.narrow(1, 0, channels);
  const std::int64_t out = tail.conv.size(0);
  return multiply<T>(pooled, channels, pack_forward<T>(tail.conv), out, whole_panels(out))
      .as_images(windows.pooled, out);
}

template <class T>
TailGradients<T> tail_backward(const BlockTrace& trace, const at::Tensor& output_gradient) {
  const TailParts& tail = trace.parts.tail;
  const Pixels& pixels = trace.pixels;
  const std::int64_t channels = trace.channels;
  TailGradients<T> result{
      .gradient = Rows(pixels.count(), trace.x.ld, trace.x.memory.options()), .sums = NormSums(0), .weight = {}};
  const Rows& gradient = result.gradient;
  if (tail.kind == TailKind::kJoin) {
    gradient.as_images(pixels, channels).copy_(output_gradient);
    return result;
  }
  const Windows windows(tail.kind, pixels);
  const NormVectors<T> norm(tail.norm, trace.statistics, trace.x.ld);
  Rows pooled;  // the gradient of the pooled values
  if (tail.kind == TailKind::kGlobal) {
    pooled = Rows(pixels.images, whole_panels(channels), gradient.memory.options());
    pooled.memory.narrow(1, 0, channels).copy_(output_gradient);
  } else {
    const std::int64_t out = tail.conv.size(0);
    const Rows outer = to_rows<T>(output_gradient, windows.pooled);
    if (tail.conv.requires_grad()) {
      const Rows values = pool<T>(windows, trace.x, pixels, channels, norm.view());
      const at::Tensor product = at::mm(outer.memory.narrow(1, 0, out).t(), values.memory.narrow(1, 0, channels));
      result.weight = product.view_as(tail.conv);
    }
    pooled = multiply<T>(outer, out, pack_backward<T>(tail.conv), channels, whole_panels(channels));
  }
  clear_uncovered(windows, pixels, gradient, channels);
  const PooledNorm<T> task = windows.task(pixels, channels, norm.view());
  const std::int64_t length = whole_panels(channels);
  const std::int64_t chunks = sum_chunks(windows.rows(), 1);
  std::vector<NormSums> sums(static_cast<std::size_t>(chunks), NormSums(length));
  for_items(chunks, pixels.count() * channels * kMove, [&](std::int64_t chunk, std::int64_t /*slot*/) {
    std::vector<T> row_sums(static_cast<std::size_t>(2 * length));
    const Range own = part_of(windows.rows(), chunks, chunk);
    for (std::int64_t row = own.begin; row < own.end; ++row) {
      const std::int64_t first = windows.first_pixel(pixels, row);
      std::ranges::fill(row_sums, T{0});
      kernels<T>().pool_backward(task, pooled.data<T>() + (row * windows.pooled.width * pooled.ld), pooled.ld,
                                 {.x = trace.x.data<T>() + (first * trace.x.ld),
                                  .ldx = trace.x.ld,
                                  .norm = norm.view(),
                                  .out = gradient.data<T>() + (first * gradient.ld),
                                  .ldo = gradient.ld,
                                  .accumulate = false,
                                  .sum_g = row_sums.data(),
                                  .sum_gx = row_sums.data() + length});
      sums[static_cast<std::size_t>(chunk)].add(row_sums.data(), row_sums.data() + length,
                                                {.begin = 0, .end = channels});
    }
  });
  result.sums = NormSums(length);
  for (const NormSums& part : sums) result.sums.add(part, {.begin = 0, .end = channels});
  return result;
}

template at::Tensor tail_forward<float>(const TailParts&, const Rows&, const Pixels&, std::int64_t,
                                        const ChannelStatistics&);
template at::Tensor tail_forward<double>(const TailParts&, const Rows&, const Pixels&, std::int64_t,
                                         const ChannelStatistics&);
template TailGradients<float> tail_backward<float>(const BlockTrace&, const at::Tensor&);
template TailGradients<double> tail_backward<double>(const BlockTrace&, const at::Tensor&);

}  // namespace densenet::engine
