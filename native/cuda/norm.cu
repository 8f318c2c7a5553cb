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
  for (int64_t row = place.first; row < place.end; row += place.step) {
    Pack<T, kWidth> pack = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      const float value = scale[lane] * to_float(pack.values[lane]) + shift[lane];
      pack.values[lane] = from_float<T>(value > 0.0F ? value : 0.0F);
    }
    write<kWidth>(static_cast<T*>(task.out) + row * task.ldo, place.channel, pack);
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    norm_relu_backward_kernel(const DensenetNormReluBackward task, int64_t rows_a_part) {
  __shared__ float sums[2][kThreads * kWidth];
  const Place place(task.rows, task.channels, rows_a_part, kWidth);
  const Constants<kWidth> scale(task.scale, place);
  const Constants<kWidth> shift(task.shift, place);
  const Constants<kWidth> mean(task.mean, place);
  float sum_g[kWidth] = {};
  float sum_gx[kWidth] = {};
  if (place.within) {
    for (int64_t row = place.first; row < place.end; row += place.step) {
      const auto dy = read<kWidth>(static_cast<const T*>(task.dy) + row * task.ldy, place.channel);
      const auto x = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
      T* target = static_cast<T*>(task.gradient) + row * task.ldg;
      Pack<T, kWidth> gradient{};
      if (task.accumulate != 0) gradient = read<kWidth>(target, place.channel);
      DENSENET_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) {
        const float value = to_float(x.values[lane]);
        const float g = scale[lane] * value + shift[lane] > 0.0F ? to_float(dy.values[lane]) : 0.0F;
        sum_g[lane] += g;
        sum_gx[lane] += g * (value - mean[lane]);
        const float before = task.accumulate != 0 ? to_float(gradient.values[lane]) : 0.0F;
        gradient.values[lane] = from_float<T>(before + scale[lane] * g);
      }
      write<kWidth>(target, place.channel, gradient);
    }
  }
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
  for (int64_t row = place.first; row < place.end; row += place.step) {
    Pack<T, kWidth> gradient = read<kWidth>(static_cast<const T*>(task.gradient) + row * task.ldg, place.channel);
    const auto x = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      float value = to_float(gradient.values[lane]) + p[lane] + q[lane] * (to_float(x.values[lane]) - mean[lane]);
      if (task.keep != nullptr) {
        value = task.keep[row * task.channels + place.channel + lane] != 0 ? value * task.keep_scale : 0.0F;
      }
      gradient.values[lane] = from_float<T>(value);
    }
    write<kWidth>(static_cast<T*>(task.out) + row * task.ldo, place.channel, gradient);
  }
}

}  // namespace

int64_t sums_scratch(int64_t rows, int64_t channels) { return 2 * Columns::part_count(rows) * channels; }

int norm_relu(const DensenetNormRelu* task, void* stream) {
  return with_type(task->type, [&](auto value) {
    using T = decltype(value);
    return with_width<T>(
        [&]<int kWidth>() {
          const Columns columns(task->rows, task->channels, kWidth);
          return launch(norm_relu_kernel<T, kWidth>, columns.grid(), columns.block(), static_cast<Stream>(stream),
                        *task, columns.rows_a_part);
        },
        View{task->x, task->ldx, task->channels}, View{task->out, task->ldo, task->channels});
  });
}

int norm_relu_backward(const DensenetNormReluBackward* task, void* stream) {
  return with_type(task->type, [&](auto value) {
    using T = decltype(value);
    return with_width<T>(
        [&]<int kWidth>() {
          const Columns columns(task->rows, task->channels, kWidth);
          return launch(norm_relu_backward_kernel<T, kWidth>, columns.grid(), columns.block(),
                        static_cast<Stream>(stream), *task, columns.rows_a_part);
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
