/// The 1×1 convolution with the BN-ReLU before it: bfloat16 and half on tensor cores, float in plain arithmetic.

#include "tasks.h"
#include "tile.cuh"

namespace densenet::cuda {

namespace {

/// A tile of kRows × kColumns by eight warps, four down and two across, kDepth channels at a time in two stages. The
/// input goes through registers, where it is normalised and rectified, into shared memory; the weights are copied there
/// directly.
template <class T, int kColumns>
struct TensorProduct {
  static constexpr int kRows = 128;
  static constexpr int kDepth = 32;
  static constexpr int kPitch = kDepth + 8;  // ldmatrix's eight rows fall on different banks
  static constexpr int kWarpColumns = kColumns / 2;
  static constexpr int kGroups = kDepth / 8;  // groups of eight channels
  static constexpr int kInputs = kRows * kGroups / kThreads;
  static constexpr int kWeights = kColumns * kGroups / kThreads;
  static constexpr int kStage = (kRows + kColumns) * kPitch;
  using Output = OutputTile<T, kRows, kColumns>;
  static constexpr int kInputBytes = 2 * kStage * static_cast<int>(sizeof(T));
  static constexpr int kBytes = kInputBytes > Output::kBytes ? kInputBytes : Output::kBytes;

  const DensenetProduct& task;
  T* memory;
  int64_t row0;
  int64_t column0;
  bool wide;  // every row and weight can be read 16 bytes at a time

  Pack<T, 8> inputs[kInputs];
  float scale[8];
  float shift[8];
  float sums[2][kWarpColumns / 8][4];

  __device__ TensorProduct(const DensenetProduct& given, T* shared, int64_t row, int64_t column, bool whole)
      : task(given), memory(shared), row0(row), column0(column), wide(whole), sums{} {}

  __device__ int64_t own_channel(int64_t k) const { return k + threadIdx.x % kGroups * 8; }

  /// Reads this thread's share of the input, kDepth channels from `k` on.
  __device__ void fetch(int64_t k) {
    const int64_t channel = own_channel(k);
    DENSENET_UNROLL
    for (int lane = 0; lane < 8; ++lane) {
      const bool within = channel + lane < task.depth;
      scale[lane] = within ? task.scale[channel + lane] : 0.0F;
      shift[lane] = within ? task.shift[channel + lane] : 0.0F;
    }
    DENSENET_UNROLL
    for (int item = 0; item < kInputs; ++item) {
      const int64_t row = row0 + threadIdx.x / kGroups + item * (kThreads / kGroups);
      const T* values = static_cast<const T*>(task.x) + row * task.ldx;
      if (row >= task.rows || channel >= task.depth) continue;
      if (wide) {
        inputs[item] = read<8>(values, channel);
      } else {
        DENSENET_UNROLL
        for (int lane = 0; lane < 8; ++lane) {
          if (channel + lane < task.depth) inputs[item].values[lane] = values[channel + lane];
        }
      }
    }
  }

  /// Normalises and rectifies what was read and puts it into a stage; zeros where there is no row or channel.
  __device__ void place(int64_t k, int stage) {
    const int64_t channel = own_channel(k);
    DENSENET_UNROLL
    for (int item = 0; item < kInputs; ++item) {
      const int row = static_cast<int>(threadIdx.x) / kGroups + item * (kThreads / kGroups);
      Pack<T, 8> pack;
      DENSENET_UNROLL
      for (int lane = 0; lane < 8; ++lane) {
        float value = 0.0F;
        if (row0 + row < task.rows && channel + lane < task.depth) {
          value = scale[lane] * to_float(inputs[item].values[lane]) + shift[lane];
          value = value > 0.0F ? value : 0.0F;
        }
        pack.values[lane] = from_float<T>(value);
      }
      write<8>(memory + stage * kStage + row * kPitch, threadIdx.x % kGroups * 8, pack);
    }
  }

  /// Starts the copies of the weights of kDepth channels into a stage.
  __device__ void copy_weights(int64_t k, int stage) {
    const int64_t channel = own_channel(k);
    DENSENET_UNROLL
    for (int item = 0; item < kWeights; ++item) {
      const int column = static_cast<int>(threadIdx.x) / kGroups + item * (kThreads / kGroups);
      T* target = memory + stage * kStage + (kRows + column) * kPitch + threadIdx.x % kGroups * 8;
      const T* values = static_cast<const T*>(task.weight) + (column0 + column) * task.depth;
      const bool within = column0 + column < task.columns && channel < task.depth;
      if (within && wide) {
        copy_async(target, values + channel);
        continue;
      }
      DENSENET_UNROLL
      for (int lane = 0; lane < 8; ++lane) {
        target[lane] = within && channel + lane < task.depth ? values[channel + lane] : from_float<T>(0.0F);
      }
    }
  }

  __device__ void multiply(int stage) {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const T* input = memory + stage * kStage + warp % 4 * 32 * kPitch;
    const T* weight = memory + stage * kStage + (kRows + warp / 4 * kWarpColumns) * kPitch;
    DENSENET_UNROLL
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t a[2][4];
      DENSENET_UNROLL
      for (int half = 0; half < 2; ++half) {
        load_matrices(a[half], input + (half * 16 + lane % 16) * kPitch + k + lane / 16 * 8);
      }
      DENSENET_UNROLL
      for (int column = 0; column < kWarpColumns; column += 16) {
        uint32_t b[4];  // columns 0-7 and 8-15, of each the channels 0-7 and 8-15
        load_matrices(b, weight + (column + lane / 16 * 8 + lane % 8) * kPitch + k + lane / 8 % 2 * 8);
        DENSENET_UNROLL
        for (int half = 0; half < 2; ++half) {
          multiply_add<T>(sums[half][column / 8], a[half], b[0], b[1]);
          multiply_add<T>(sums[half][column / 8 + 1], a[half], b[2], b[3]);
        }
      }
    }
  }

  __device__ void run() {
    const int64_t steps = ceil_div(task.depth, kDepth);
    fetch(0);
    copy_weights(0, 0);
    place(0, 0);
    wait_for_copies();
    __syncthreads();
    for (int64_t step = 0; step < steps; ++step) {
      const int stage = static_cast<int>(step % 2);
      const bool more = step + 1 < steps;
      if (more) {
        fetch((step + 1) * kDepth);
        copy_weights((step + 1) * kDepth, 1 - stage);
      }
      multiply(stage);
      if (more) {
        place((step + 1) * kDepth, 1 - stage);
        wait_for_copies();
      }
      __syncthreads();
    }
  }

  __device__ void put(const Output& output) const {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    DENSENET_UNROLL
    for (int half = 0; half < 2; ++half) {
      DENSENET_UNROLL
      for (int block = 0; block < kWarpColumns / 8; ++block) {
        DENSENET_UNROLL
        for (int value = 0; value < 4; ++value) {
          const int row = warp % 4 * 32 + half * 16 + lane / 4 + value / 2 * 8;
          const int column = warp / 4 * kWarpColumns + block * 8 + lane % 4 * 2 + value % 2;
          output.put(task, row, column, sums[half][block][value]);
        }
      }
    }
  }
};

template <class T, int kColumns>
__global__ void __launch_bounds__(kThreads)
    tensor_product_kernel(const DensenetProduct task, bool wide, bool wide_out) {
  using Product = TensorProduct<T, kColumns>;
  alignas(16) __shared__ unsigned char memory[Product::kBytes];
  __shared__ float scratch[2 * kThreads];
  const int64_t across = ceil_div(task.columns, kColumns);
  const int64_t tile = blockIdx.x / across;  // tiles side by side read the same rows one after the other
  const int64_t row0 = tile * Product::kRows;
  const int64_t column0 = blockIdx.x % across * kColumns;
  Product product(task, reinterpret_cast<T*>(memory), row0, column0, wide);
  product.run();
  const typename Product::Output output{reinterpret_cast<T*>(memory), row0, column0};
  product.put(output);
  __syncthreads();
  output.store(task, wide_out);
  if (task.mean != nullptr) output.measure(task, tile, scratch);
}

constexpr int kFloatRows = 64;
constexpr int kFloatColumns = 64;
constexpr int kFloatDepth = 16;

/// A tile of 64 × 64, of which each thread makes 4 × 4.
__global__ void __launch_bounds__(kThreads) float_product_kernel(const DensenetProduct task, bool wide_out) {
  using Output = OutputTile<float, kFloatRows, kFloatColumns>;
  __shared__ float input[kFloatDepth][kFloatRows + 4];
  __shared__ float weight[kFloatDepth][kFloatColumns + 4];
  alignas(16) __shared__ float memory[kFloatRows * Output::kPitch];
  __shared__ float scratch[2 * kThreads];
  const int64_t across = ceil_div(task.columns, kFloatColumns);
  const int64_t tile = blockIdx.x / across;
  const int64_t row0 = tile * kFloatRows;
  const int64_t column0 = blockIdx.x % across * kFloatColumns;
  const int top = static_cast<int>(threadIdx.x) / 16 * 4;
  const int left = static_cast<int>(threadIdx.x) % 16 * 4;
  float sums[4][4] = {};
  for (int64_t k = 0; k < task.depth; k += kFloatDepth) {
    const int depth = static_cast<int>(threadIdx.x) % kFloatDepth;
    const int64_t channel = k + depth;
    const bool within = channel < task.depth;
    const float scale = within ? task.scale[channel] : 0.0F;
    const float shift = within ? task.shift[channel] : 0.0F;
    for (int item = static_cast<int>(threadIdx.x) / kFloatDepth; item < kFloatRows; item += kThreads / kFloatDepth) {
      float value = 0.0F;
      if (within && row0 + item < task.rows) {
        value = scale * static_cast<const float*>(task.x)[(row0 + item) * task.ldx + channel] + shift;
        value = value > 0.0F ? value : 0.0F;
      }
      input[depth][item] = value;
      weight[depth][item] = within && column0 + item < task.columns
                                ? static_cast<const float*>(task.weight)[(column0 + item) * task.depth + channel]
                                : 0.0F;
    }
    __syncthreads();
    DENSENET_UNROLL
    for (int place = 0; place < kFloatDepth; ++place) {
      DENSENET_UNROLL
      for (int row = 0; row < 4; ++row) {
        DENSENET_UNROLL
        for (int column = 0; column < 4; ++column) {
          sums[row][column] += input[place][top + row] * weight[place][left + column];
        }
      }
    }
    __syncthreads();
  }
  const Output output{memory, row0, column0};
  DENSENET_UNROLL
  for (int row = 0; row < 4; ++row) {
    DENSENET_UNROLL
    for (int column = 0; column < 4; ++column) output.put(task, top + row, left + column, sums[row][column]);
  }
  __syncthreads();
  output.store(task, wide_out);
  if (task.mean != nullptr) output.measure(task, tile, scratch);
}

template <class T, int kColumns>
int run_tensor_product(const DensenetProduct& task, Stream stream) {
  const int64_t tiles = ceil_div(task.rows, TensorProduct<T, kColumns>::kRows) * ceil_div(task.columns, kColumns);
  const bool wide = aligned<T>(task.x, task.ldx, task.depth, 8) && aligned<T>(task.weight, task.depth, task.depth, 8);
  return launch(tensor_product_kernel<T, kColumns>, dim3(static_cast<unsigned>(tiles), 1, 1), dim3(kThreads, 1, 1),
                stream, task, wide, aligned<T>(task.out, task.ldo, task.columns, 8));
}

}  // namespace

int64_t product_scratch(int64_t rows, int64_t columns) { return 2 * ceil_div(rows, kFloatRows) * columns; }

int product(const DensenetProduct* task, void* stream) {
  const auto on = static_cast<Stream>(stream);
  int64_t rows_a_part = TensorProduct<Half, 64>::kRows;
  const int error = with_type(task->type, [&](auto value) {
    using T = decltype(value);
    if constexpr (sizeof(T) == 4) {
      rows_a_part = kFloatRows;
      const int64_t tiles = ceil_div(task->rows, kFloatRows) * ceil_div(task->columns, kFloatColumns);
      return launch(float_product_kernel, dim3(static_cast<unsigned>(tiles), 1, 1), dim3(kThreads, 1, 1), on, *task,
                    aligned<float>(task->out, task->ldo, task->columns, 4));
    } else {
      if (task->columns <= 64) return run_tensor_product<T, 64>(*task, on);
      return run_tensor_product<T, 128>(*task, on);
    }
  });
  if (error != 0 || task->mean == nullptr) return error;
  return merge_moments(task->partial, ceil_div(task->rows, rows_a_part), rows_a_part, task->rows, task->columns,
                       task->mean, task->variance, on);
}

}  // namespace densenet::cuda
