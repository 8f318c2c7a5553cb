#pragma once

#include "columns.cuh"

namespace densenet::cuda {

/// A block's sums over the parts of a few channels: threads side by side are channels, those one below the other share
/// the parts. The order depends on the sizes alone.
struct PartSums {
  static constexpr int kChannels = 8;
  static constexpr int kParts = 32;
  static constexpr int kThreads = kChannels * kParts;

  double values[kParts][kChannels];

  static dim3 grid(int64_t channels) { return dim3(static_cast<unsigned>(ceil_div(channels, kChannels)), 1, 1); }
  static dim3 block() { return dim3(kChannels, kParts, 1); }

  /// The sum of a channel, to all of its threads. Every thread of the block must call it.
  __device__ double add(double own) {
    values[threadIdx.y][threadIdx.x] = own;
    __syncthreads();
    for (int half = kParts / 2; half > 0; half /= 2) {
      if (static_cast<int>(threadIdx.y) < half) {
        values[threadIdx.y][threadIdx.x] += values[threadIdx.y + half][threadIdx.x];
      }
      __syncthreads();
    }
    const double sum = values[0][threadIdx.x];
    __syncthreads();  // before the next sum
    return sum;
  }
};

}  // namespace densenet::cuda
