/// BN-ReLU over a prefix of a block's channels: forward, backward, and the terms that are applied once a channel.

#include "columns.cuh"
#include "tasks.h"

namespace densenet::cuda {

namespace {

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) norm_relu_kernel(const DensenetNormRelu task, int64_t rows_a_part) {
  const Place place(task.rows, task.channels, rows_a_part, kWidth);
  if (!place.within) return;
  const Constants<kWidth> scale(task.scale, place);
  const Constants<kWidth> shift(task.shift, place);
  Pack<T, kWidth> packs[kAtOnce];
  const auto fetch = [&](int item, int64_t row) {
    packs[item] = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
  };
  for_rows<kAtOnce>(place, fetch, [&](int item, int64_t row) {
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      const float value = scale[lane] * to_float(packs[item].values[lane]) + shift[lane];
      packs[item].values[lane] = from_float<T>(value > 0.0F ? value : 0.0F);
    }
    write<kWidth>(static_cast<T*>(task.out) + row * task.ldo, place.channel, packs[item]);
  });
}

/// Images of which each 2 × 2 pixels are one, pixel by pixel. 32 bits hold any matrix's rows, and divide fast.
struct Halved {
  uint32_t height;  ///< of the larger images
  uint32_t width;
  uint32_t rows;  ///< of the smaller
  uint32_t columns;

  __host__ __device__ Halved(int64_t large_height, int64_t large_width)
      : height(static_cast<uint32_t>(large_height)),
        width(static_cast<uint32_t>(large_width)),
        rows(height / 2),
        columns(width / 2) {}

  /// The first of the four pixels that become this one.
  __device__ int64_t first_of(int64_t pixel) const {
    const auto place = static_cast<uint32_t>(pixel);
    const uint32_t row = place / columns;  // of all images, one below the other
    const uint32_t image = row / rows;
    return static_cast<int64_t>(image * height + (row - image * rows) * 2) * width + (place - row * columns) * 2;
  }

  /// The pixel that this one goes into, or −1.
  __device__ int64_t target_of(int64_t pixel) const {
    const auto place = static_cast<uint32_t>(pixel);
    const uint32_t row = place / width;
    const uint32_t image = row / height;
    const uint32_t y = (row - image * height) / 2;
    const uint32_t x = (place - row * width) / 2;
    return y < rows && x < columns ? static_cast<int64_t>(image * rows + y) * columns + x : -1;
  }
};

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    norm_relu_pool_kernel(const DensenetNormRelu task, Halved halved, int64_t pooled, int64_t rows_a_part) {
  const Place place(pooled, task.channels, rows_a_part, kWidth);
  if (!place.within) return;
  const Constants<kWidth> scale(task.scale, place);
  const Constants<kWidth> shift(task.shift, place);
  for (int64_t row = place.first; row < place.end; row += place.step) {
    const T* from = static_cast<const T*>(task.x) + halved.first_of(row) * task.ldx;
    Pack<T, kWidth> packs[4];
    DENSENET_UNROLL
    for (int item = 0; item < 4; ++item) {
      packs[item] = read<kWidth>(from + (item / 2 * task.width + item % 2) * task.ldx, place.channel);
    }
    Pack<T, kWidth> result;
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      float sum = 0.0F;
      DENSENET_UNROLL
      for (int item = 0; item < 4; ++item) {
        const float value = scale[lane] * to_float(packs[item].values[lane]) + shift[lane];
        sum += value > 0.0F ? value : 0.0F;
      }
      result.values[lane] = from_float<T>(sum * 0.25F);
    }
    write<kWidth>(static_cast<T*>(task.out) + row * task.ldo, place.channel, result);
  }
}

/// `kPooled`: dy is of the pixels of `halved`.
template <class T, int kWidth, bool kPooled>
__global__ void __launch_bounds__(kThreads)
    norm_relu_backward_kernel(const DensenetNormReluBackward task, Halved halved, int64_t rows_a_part) {
  constexpr int kRows = 2;
  __shared__ float sums[2][kThreads * kWidth];
  const Place place(task.rows, task.channels, rows_a_part, kWidth);
  const Constants<kWidth> scale(task.scale, place);
  const Constants<kWidth> shift(task.shift, place);
  const Constants<kWidth> mean(task.mean, place);
  float sum_g[kWidth] = {};
  float sum_gx[kWidth] = {};
  Pack<T, kWidth> dy[kRows];
  Pack<T, kWidth> x[kRows];
  Pack<T, kWidth> gradient[kRows];
  const auto fetch = [&](int item, int64_t row) {
    const int64_t source = kPooled ? halved.target_of(row) : row;
    dy[item] = source < 0 ? Pack<T, kWidth>{}
                          : read<kWidth>(static_cast<const T*>(task.dy) + source * task.ldy, place.channel);
    x[item] = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
    if (task.accumulate != 0) {
      gradient[item] = read<kWidth>(static_cast<const T*>(task.gradient) + row * task.ldg, place.channel);
    }
  };
  for_rows<kRows>(place, fetch, [&](int item, int64_t row) {
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      const float value = to_float(x[item].values[lane]);
      const float given = to_float(dy[item].values[lane]) * (kPooled ? 0.25F : 1.0F);
      const float g = scale[lane] * value + shift[lane] > 0.0F ? given : 0.0F;
      sum_g[lane] += g;
      sum_gx[lane] += g * (value - mean[lane]);
      const float before = task.accumulate != 0 ? to_float(gradient[item].values[lane]) : 0.0F;
      gradient[item].values[lane] = from_float<T>(before + scale[lane] * g);
    }
    write<kWidth>(static_cast<T*>(task.gradient) + row * task.ldg, place.channel, gradient[item]);
  });
  const int own = threadIdx.y * blockDim.x + threadIdx.x;
  DENSENET_UNROLL
  for (int lane = 0; lane < kWidth; ++lane) {
    sums[0][own * kWidth + lane] = sum_g[lane];
    sums[1][own * kWidth + lane] = sum_gx[lane];
  }
  __syncthreads();
  const int width = blockDim.x * kWidth;
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * width + own;
  if (own >= width || channel >= task.channels) return;
  float total_g = 0.0F;
  float total_gx = 0.0F;
  for (int y = 0; y < static_cast<int>(blockDim.y); ++y) {
    total_g += sums[0][y * width + own];
    total_gx += sums[1][y * width + own];
  }
  float* partial = task.partial + 2 * static_cast<int64_t>(blockIdx.y) * task.channels;
  partial[channel] = total_g;
  partial[task.channels + channel] = total_gx;
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) correct_kernel(const DensenetCorrect task, int64_t rows_a_part) {
  const Place place(task.rows, task.channels, rows_a_part, kWidth);
  if (!place.within) return;
  const Constants<kWidth> p(task.p, place);
  const Constants<kWidth> q(task.q, place);
  const Constants<kWidth> mean(task.mean, place);
  Pack<T, kWidth> gradient[kAtOnce];
  Pack<T, kWidth> x[kAtOnce];
  const auto fetch = [&](int item, int64_t row) {
    gradient[item] = read<kWidth>(static_cast<const T*>(task.gradient) + row * task.ldg, place.channel);
    x[item] = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
  };
  for_rows<kAtOnce>(place, fetch, [&](int item, int64_t row) {
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      float value =
          to_float(gradient[item].values[lane]) + p[lane] + q[lane] * (to_float(x[item].values[lane]) - mean[lane]);
      if (task.keep != nullptr) {
        value = task.keep[row * task.channels + place.channel + lane] != 0 ? value * task.keep_scale : 0.0F;
      }
      gradient[item].values[lane] = from_float<T>(value);
    }
    write<kWidth>(static_cast<T*>(task.out) + row * task.ldo, place.channel, gradient[item]);
  });
}

}  // namespace

int64_t sums_scratch(int64_t rows, int64_t channels) { return 2 * Columns::part_count(rows) * channels; }

int norm_relu(const DensenetNormRelu* task, void* stream) {
  const auto on = static_cast<Stream>(stream);
  return with_type(task->type, [&](auto value) {
    using T = decltype(value);
    return with_width<T>(
        [&]<int kWidth>() {
          if (task->height == 0) {
            const Columns columns(task->rows, task->channels, kWidth);
            return launch(norm_relu_kernel<T, kWidth>, columns.grid(), columns.block(), on, *task, columns.rows_a_part);
          }
          const Halved halved(task->height, task->width);
          const int64_t pooled = task->rows / (task->height * task->width) * halved.rows * halved.columns;
          const Columns columns(pooled, task->channels, kWidth);
          return launch(norm_relu_pool_kernel<T, kWidth>, columns.grid(), columns.block(), on, *task, halved, pooled,
                        columns.rows_a_part);
        },
        View{task->x, task->ldx, task->channels}, View{task->out, task->ldo, task->channels});
  });
}

int norm_relu_backward(const DensenetNormReluBackward* task, void* stream) {
  const Halved halved(task->height, task->width);
  return with_type(task->type, [&](auto value) {
    using T = decltype(value);
    return with_width<T>(
        [&]<int kWidth>() {
          const Columns columns(task->rows, task->channels, kWidth);
          const auto kernel = task->height == 0 ? norm_relu_backward_kernel<T, kWidth, false>
                                                : norm_relu_backward_kernel<T, kWidth, true>;
          return launch(kernel, columns.grid(), columns.block(), static_cast<Stream>(stream), *task, halved,
                        columns.rows_a_part);
        },
        View{task->dy, task->ldy, task->channels}, View{task->x, task->ldx, task->channels},
        View{task->gradient, task->ldg, task->channels});
  });
}

int correct(const DensenetCorrect* task, void* stream) {
  return with_type(task->type, [&](auto value) {
    using T = decltype(value);
    return with_width<T>(
        [&]<int kWidth>() {
          const Columns columns(task->rows, task->channels, kWidth);
          return launch(correct_kernel<T, kWidth>, columns.grid(), columns.block(), static_cast<Stream>(stream), *task,
                        columns.rows_a_part);
        },
        View{task->gradient, task->ldg, task->channels}, View{task->x, task->ldx, task->channels},
        View{task->out, task->ldo, task->channels});
  });
}

}  // namespace densenet::cuda
