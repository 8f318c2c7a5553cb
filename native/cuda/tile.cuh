#pragma once

#include "columns.cuh"
#include "moments.cuh"

namespace densenet::cuda {

/// A finished tile of a product, in shared memory, on its way out: bias, dropout, statistics.
template <class T, int kRows, int kColumns>
struct OutputTile {
  static constexpr int kPitch = kColumns + 8;  ///< rows stay 16 bytes apart in alignment, and off one another's banks
  static constexpr int kBytes = kRows * kPitch * static_cast<int>(sizeof(T));
  static constexpr int kSections = kThreads / kColumns;

  T* values;
  int64_t row0;
  int64_t column0;

  /// Puts one value of the product in its place. `row` and `column` are within the tile.
  __device__ void put(const DensenetProduct& task, int row, int column, float value) const {
    if (row0 + row >= task.rows || column0 + column >= task.columns) {
      value = 0.0F;
    } else {
      if (task.bias != nullptr) {
        value += task.bias[column0 + column];
        value = value > 0.0F ? value : 0.0F;
      }
      if (task.keep != nullptr) {
        value = task.keep[(row0 + row) * task.columns + column0 + column] != 0 ? value * task.keep_scale : 0.0F;
      }
    }
    values[row * kPitch + column] = from_float<T>(value);
  }

  /// Writes the tile, once the whole block has put its values and waited for one another. `wide`: 16 bytes at a time.
  __device__ void store(const DensenetProduct& task, bool wide) const {
    constexpr int kWidth = 16 / static_cast<int>(sizeof(T));
    if (wide) {
      for (int item = threadIdx.x; item < kRows * kColumns / kWidth; item += kThreads) {
        const int row = item / (kColumns / kWidth);
        const int column = item % (kColumns / kWidth) * kWidth;
        if (row0 + row >= task.rows || column0 + column >= task.columns) continue;
        write<kWidth>(static_cast<T*>(task.out) + (row0 + row) * task.ldo, column0 + column,
                      read<kWidth>(values + row * kPitch, column));
      }
      return;
    }
    for (int item = threadIdx.x; item < kRows * kColumns; item += kThreads) {
      const int row = item / kColumns;
      const int column = item % kColumns;
      if (row0 + row >= task.rows || column0 + column >= task.columns) continue;
      static_cast<T*>(task.out)[(row0 + row) * task.ldo + column0 + column] = values[row * kPitch + column];
    }
  }

  /// The moments of the tile's columns, into part `part` of the task's scratch. `scratch`: 2 × kThreads floats of
  /// shared memory that nothing else uses.
  __device__ void measure(const DensenetProduct& task, int64_t part, float* scratch) const {
    const int64_t left = task.rows - row0;
    const int rows = left < kRows ? static_cast<int>(left) : kRows;
    constexpr int kSection = kRows / kSections;
    const int column = threadIdx.x % kColumns;
    const int begin = threadIdx.x / kColumns * kSection;
    const int end = begin + kSection < rows ? begin + kSection : rows;
    float mean = 0.0F;
    float deviations = 0.0F;
    if (begin < end) {
      for (int row = begin; row < end; ++row) mean += to_float(values[row * kPitch + column]);
      mean /= static_cast<float>(end - begin);
      for (int row = begin; row < end; ++row) {
        const float difference = to_float(values[row * kPitch + column]) - mean;
        deviations += difference * difference;
      }
    }
    scratch[threadIdx.x] = mean;
    scratch[kThreads + threadIdx.x] = deviations;
    __syncthreads();
    if (threadIdx.x >= kColumns || column0 + column >= task.columns) return;
    Moments<float> all;
    for (int section = 0; section < kSections; ++section) {
      const int first = section * kSection;
      const int count = first >= rows ? 0 : (rows - first < kSection ? rows - first : kSection);
      all.merge(static_cast<float>(count), scratch[section * kColumns + column],
                scratch[kThreads + section * kColumns + column]);
    }
    float* partial = task.partial + 2 * part * task.columns + column0 + column;
    partial[0] = all.mean;
    partial[task.columns] = all.deviations;
  }
};

}  // namespace densenet::cuda
