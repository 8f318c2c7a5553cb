#pragma once

/// What native/cuda/device.cuh gives the kernels on a GPU, for the host: blocks run one after the other, the threads of
/// a block as fibers that a barrier makes wait. A thread runs on to its next barrier before another has its turn, in an
/// order that a test may turn round: a kernel whose result depends on that order lacks a barrier.

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <tuple>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __shared__ static  // blocks run one at a time
#define DENSENET_UNROLL
#define DENSENET_UNROLL_BY(count)

struct dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

namespace densenet::cuda {

/// Where the running thread is, and what it can do with the others.
namespace emulation {

dim3& thread_index();
dim3& block_index();
dim3& block_size();

/// Waits until all threads of the block are here.
void wait_for_block();

/// Runs all blocks of a kernel.
void run_blocks(dim3 grid, dim3 block, const std::function<void()>& kernel);

/// Whether the last thread of a block has the first turn.
void run_backwards(bool backwards);

}  // namespace emulation

#define threadIdx (::densenet::cuda::emulation::thread_index())
#define blockIdx (::densenet::cuda::emulation::block_index())
#define blockDim (::densenet::cuda::emulation::block_size())
#define __syncthreads() ::densenet::cuda::emulation::wait_for_block()

using Stream = void*;

template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream /*stream*/, const Arguments&... arguments) {
  // By value, as a launch takes them.
  const std::tuple<Parameters...> values(arguments...);
  emulation::run_blocks(grid, block, [&] { std::apply(kernel, values); });
  return 0;
}

inline int use_device(int /*index*/) { return 0; }

inline const char* error_text(int /*error*/) { return "no error of the emulation"; }

inline float to_float(float value) { return value; }
inline float to_float(BFloat16 value) { return c10::BFloat16(value.bits, c10::BFloat16::from_bits()); }
inline float to_float(Half value) { return c10::Half(value.bits, c10::Half::from_bits()); }

template <class T>
T from_float(float value);
template <>
inline float from_float<float>(float value) {
  return value;
}
template <>
inline BFloat16 from_float<BFloat16>(float value) {
  return {c10::BFloat16(value).x};
}
template <>
inline Half from_float<Half>(float value) {
  return {c10::Half(value).x};
}

}  // namespace densenet::cuda
