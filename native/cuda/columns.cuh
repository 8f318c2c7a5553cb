#pragma once

#include "device.cuh"
#include "kernels.h"

namespace densenet::cuda {

constexpr int kThreads = 256;

__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// How a pass over a matrix is shared out: a thread owns `kWidth` neighbouring channels, a block up to 32 such threads
/// side by side, the same number in every block, and a part of the rows. The parts depend on the sizes alone.
struct Columns {
  int across = 1;  ///< threads side by side
  int64_t blocks = 1;
  int64_t parts = 1;
  int64_t rows_a_part = 1;

  Columns(int64_t rows, int64_t channels, int width) {
    const int64_t packs = channels / width;
    blocks = ceil_div(packs, 32);
    across = static_cast<int>(ceil_div(packs, blocks));
    rows_a_part = part_rows(rows);
    parts = ceil_div(rows, rows_a_part);
  }

  /// At least 64 rows, and at most 1024 parts.
  static int64_t part_rows(int64_t rows) {
    const int64_t wanted = ceil_div(rows, 1024);
    return wanted < 64 ? 64 : wanted;
  }
  static int64_t part_count(int64_t rows) { return ceil_div(rows, part_rows(rows)); }

  dim3 grid() const { return dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(parts), 1); }
  dim3 block() const { return dim3(static_cast<unsigned>(across), static_cast<unsigned>(kThreads / across), 1); }
};

/// Whether `width` values at a time can be read from every row.
template <class T>
bool aligned(const void* data, int64_t ld, int64_t channels, int width) {
  return data == nullptr ||
         (reinterpret_cast<uintptr_t>(data) % (sizeof(T) * width) == 0 && ld % width == 0 && channels % width == 0);
}

/// Calls `run` with the widest of three widths that all matrices allow: 16 bytes, four values, one value.
template <class T, class Run, class... Matrices>
int with_width(const Run& run, const Matrices&... matrices) {
  constexpr int kWidest = 16 / sizeof(T);
  if ((matrices.template fits<T>(kWidest) && ...)) return run.template operator()<kWidest>();
  if ((matrices.template fits<T>(4) && ...)) return run.template operator()<4>();
  return run.template operator()<1>();
}

/// A matrix as `with_width` looks at it.
struct View {
  const void* data;
  int64_t ld;
  int64_t channels;

  template <class T>
  bool fits(int width) const {
    return aligned<T>(data, ld, channels, width);
  }
};

/// Calls `run` with a value of the storage type.
template <class Run>
int with_type(int type, const Run& run) {
  if (type == kDensenetBFloat16) return run(BFloat16{});
  if (type == kDensenetHalf) return run(Half{});
  return run(float{});
}

/// A thread's place in a pass.
struct Place {
  int64_t channel;
  int64_t first;  ///< row
  int64_t end;
  int64_t step;
  bool within;

  __device__ Place(int64_t rows, int64_t channels, int64_t rows_a_part, int width) {
    channel = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * width;
    const int64_t begin = static_cast<int64_t>(blockIdx.y) * rows_a_part;
    end = begin + rows_a_part < rows ? begin + rows_a_part : rows;
    first = begin + threadIdx.y;
    step = blockDim.y;
    within = channel < channels;
  }
};

template <int kWidth, class T>
__device__ __forceinline__ Pack<T, kWidth> read(const T* row, int64_t channel) {
  return *reinterpret_cast<const Pack<T, kWidth>*>(row + channel);
}

template <int kWidth, class T>
__device__ __forceinline__ void write(T* row, int64_t channel, const Pack<T, kWidth>& pack) {
  *reinterpret_cast<Pack<T, kWidth>*>(row + channel) = pack;
}

/// How many rows a thread reads before it works on the first of them: what it waits for comes all at once.
constexpr int kAtOnce = 4;

/// Goes over a thread's rows, kRows at a time: calls `fetch(item, row)` for each of them, and then `work(item, row)`.
template <int kRows, class Fetch, class Work>
__device__ __forceinline__ void for_rows(const Place& place, const Fetch& fetch, const Work& work) {
  const int64_t end = place.within ? place.end : 0;
  for (int64_t first = place.first; first < end; first += kRows * place.step) {
    DENSENET_UNROLL
    for (int item = 0; item < kRows; ++item) {
      const int64_t row = first + item * place.step;
      if (row < end) fetch(item, row);
    }
    DENSENET_UNROLL
    for (int item = 0; item < kRows; ++item) {
      const int64_t row = first + item * place.step;
      if (row < end) work(item, row);
    }
  }
}

/// The values of a thread's own channels; whatever where it has none.
template <int kWidth>
struct Constants {
  float values[kWidth];

  __device__ Constants(const float* all, const Place& place) {
    DENSENET_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) values[lane] = place.within ? all[place.channel + lane] : 0.0F;
  }
  __device__ float operator[](int lane) const { return values[lane]; }
};

}  // namespace densenet::cuda
