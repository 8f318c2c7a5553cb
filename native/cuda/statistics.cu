/// The mean and variance of channels, and the merging of those of parts.

#include "columns.cuh"
#include "moments.cuh"
#include "part_sums.cuh"
#include "tasks.h"

namespace densenet::cuda {

namespace {

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) measure_kernel(const DensenetMeasure task, int64_t rows_a_part) {
  __shared__ float counts[kThreads];
  __shared__ float means[kThreads * kWidth];
  __shared__ float deviations[kThreads * kWidth];
  const Place place(task.rows, task.channels, rows_a_part, kWidth);
  float count = 0.0F;
  float mean[kWidth] = {};
  float deviation[kWidth] = {};
  Pack<T, kWidth> packs[kAtOnce];
  const auto fetch = [&](int item, int64_t row) {
    packs[item] = read<kWidth>(static_cast<const T*>(task.x) + row * task.ldx, place.channel);
  };
  for_rows<kAtOnce>(place, fetch, [&](int item, int64_t row) {
    Pack<T, kWidth>& pack = packs[item];
    if (task.keep != nullptr) {
      const uint8_t* keep = task.keep + row * task.channels + place.channel;
      DENSENET_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) {
        const float kept = keep[lane] != 0 ? to_float(pack.values[lane]) * task.keep_scale : 0.0F;
        pack.values[lane] = from_float<T>(kept);
      }
    }
    if (task.out != nullptr) write<kWidth>(static_cast<T*>(task.out) + row * task.ldo, place.channel, pack);
    count += 1.0F;
    const float share = 1.0F / count;
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      const float value = to_float(pack.values[lane]);
      const float difference = value - mean[lane];
      mean[lane] += difference * share;
      deviation[lane] += difference * (value - mean[lane]);
    }
  });
  // One thread a channel merges what the threads one below the other found, in their order.
  const int own = threadIdx.y * blockDim.x + threadIdx.x;
  counts[own] = count;
  DENSENET_UNROLL
  for (int lane = 0; lane < kWidth; ++lane) {
    means[own * kWidth + lane] = mean[lane];
    deviations[own * kWidth + lane] = deviation[lane];
  }
  __syncthreads();
  const int width = blockDim.x * kWidth;
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * width + own;
  if (own >= width || channel >= task.channels) return;
  Moments<float> all;
  for (int y = 0; y < static_cast<int>(blockDim.y); ++y) {
    all.merge(counts[y * blockDim.x + own / kWidth], means[y * width + own], deviations[y * width + own]);
  }
  float* partial = task.partial + 2 * static_cast<int64_t>(blockIdx.y) * task.channels;
  partial[channel] = all.mean;
  partial[task.channels + channel] = all.deviations;
}

__global__ void __launch_bounds__(PartSums::kThreads)
    merge_kernel(const float* partial, int64_t parts, int64_t rows_a_part, int64_t rows, int64_t channels, float* mean,
                 float* variance) {
  __shared__ PartSums sums;
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * PartSums::kChannels + threadIdx.x;
  const int64_t own_parts = channel < channels ? parts : 0;
  const auto count_of = [&](int64_t part) {
    const int64_t left = rows - part * rows_a_part;
    return static_cast<double>(left < rows_a_part ? left : rows_a_part);
  };
  // The mean of all first: squared deviations from it need no division, and lose no digits.
  double sum = 0.0;
  DENSENET_UNROLL_BY(4)
  for (int64_t part = threadIdx.y; part < own_parts; part += PartSums::kParts) {
    sum += count_of(part) * static_cast<double>(partial[2 * part * channels + channel]);
  }
  const double middle = sums.add(sum) / static_cast<double>(rows);
  double deviations = 0.0;
  DENSENET_UNROLL_BY(4)
  for (int64_t part = threadIdx.y; part < own_parts; part += PartSums::kParts) {
    const double off = static_cast<double>(partial[2 * part * channels + channel]) - middle;
    deviations += static_cast<double>(partial[(2 * part + 1) * channels + channel]) + count_of(part) * off * off;
  }
  const double all = sums.add(deviations);
  if (threadIdx.y != 0 || channel >= channels) return;
  mean[channel] = static_cast<float>(middle);
  variance[channel] = static_cast<float>(all / static_cast<double>(rows));
}

}  // namespace

int merge_moments(const float* partial, int64_t parts, int64_t rows_a_part, int64_t rows, int64_t channels, float* mean,
                  float* variance, Stream stream) {
  return launch(merge_kernel, PartSums::grid(channels), PartSums::block(), stream, partial, parts, rows_a_part, rows,
                channels, mean, variance);
}

int64_t measure_scratch(int64_t rows, int64_t channels) { return 2 * Columns::part_count(rows) * channels; }

int measure(const DensenetMeasure* task, void* stream) {
  const auto on = static_cast<Stream>(stream);
  const int error = with_type(task->type, [&](auto value) {
    using T = decltype(value);
    return with_width<T>(
        [&]<int kWidth>() {
          const Columns columns(task->rows, task->channels, kWidth);
          return launch(measure_kernel<T, kWidth>, columns.grid(), columns.block(), on, *task, columns.rows_a_part);
        },
        View{task->x, task->ldx, task->channels}, View{task->out, task->ldo, task->channels});
  });
  if (error != 0) return error;
  return merge_moments(task->partial, Columns::part_count(task->rows), Columns::part_rows(task->rows), task->rows,
                       task->channels, task->mean, task->variance, on);
}

}  // namespace densenet::cuda
