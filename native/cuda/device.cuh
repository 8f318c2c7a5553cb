#pragma once

/// What the kernels need of the device beyond plain C++: storage types, wide loads, and the few instructions that have
/// no name in CUDA C++. test/native/emulation/cuda_emulation.h has the same names for the host, so that every kernel
/// also runs, block by block and thread by thread, where there is no GPU; only what stands here has no test without
/// one.

#include <stdint.h>

namespace densenet::cuda {

struct BFloat16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

/// Some neighbouring values that are read or written at once.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  T values[kCount];
};

}  // namespace densenet::cuda

#ifdef __CUDACC__

#include <cuda_runtime.h>

/// Before a loop whose arrays must stay in registers.
#define DENSENET_UNROLL _Pragma("unroll")
/// Before a loop whose reads shall be under way together.
#define DENSENET_UNROLL_BY(count) _Pragma(DENSENET_TEXT(unroll count))
#define DENSENET_TEXT(text) #text

namespace densenet::cuda {

using Stream = cudaStream_t;

/// A kernel on a stream; 0 or the error.
template <class... Parameters, class... Arguments>
int launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream stream, const Arguments&... arguments) {
  kernel<<<grid, block, 0, stream>>>(arguments...);
  return static_cast<int>(cudaGetLastError());
}

inline int use_device(int index) { return static_cast<int>(cudaSetDevice(index)); }

inline const char* error_text(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(BFloat16 value) {
  return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
}
__device__ __forceinline__ float to_float(Half value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}

/// Rounds to the nearest, ties to even.
template <class T>
__device__ __forceinline__ T from_float(float value);
template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ BFloat16 from_float<BFloat16>(float value) {
  BFloat16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}
template <>
__device__ __forceinline__ Half from_float<Half>(float value) {
  Half result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}

}  // namespace densenet::cuda

#else
#include "cuda_emulation.h"
#endif
