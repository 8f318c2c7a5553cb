#pragma once

#include <stddef.h>  // NOLINT(modernize-deprecated-headers): a C interface
#include <stdint.h>  // NOLINT(modernize-deprecated-headers)

/// What the library of CUDA kernels gives out: plain C, so that it knows neither libtorch nor its version. Matrices are
/// pixels by channels, rows `ld` elements apart, in one of the storage types below; everything that is kept a channel
/// (means, scales, sums) is float, and sums are formed in float or double. Every call puts its work on `stream` (a
/// cudaStream_t) and returns at once; the result is 0 or a cudaError_t. A sum's order depends on sizes alone, so a call
/// repeats bit for bit.

#ifdef __cplusplus
extern "C" {
#endif

/// Goes up whenever a struct below changes: the core opens no library with another number.
enum { kDensenetKernelsVersion = 2 };

/// Storage types.
enum { kDensenetFloat = 0, kDensenetBFloat16 = 1, kDensenetHalf = 2 };

/// The mean and variance of each channel of X. Where `out` is given, which may be X, it is also copied there, each
/// value first multiplied by `keep_scale` or set to 0 as `keep` (a byte a value, rows × channels) says.
typedef struct DensenetMeasure {
  int type;
  const void* x;
  int64_t ldx;
  int64_t rows;
  int64_t channels;
  void* out;  ///< may be 0
  int64_t ldo;
  const uint8_t* keep;  ///< may be 0
  float keep_scale;
  float* partial;  ///< scratch of `measure_scratch` floats
  float* mean;
  float* variance;  ///< biased
} DensenetMeasure;

/// out = max(0, scale·x + shift). With `height` the mean of each 2 × 2 pixels of that, as images of `height` × `width`
/// have them; a last odd row or column is left out.
typedef struct DensenetNormRelu {
  int type;
  const void* x;
  int64_t ldx;
  int64_t rows;  ///< of x
  int64_t channels;
  const float* scale;
  const float* shift;
  void* out;
  int64_t ldo;
  int64_t height;  ///< 0: as it is
  int64_t width;
} DensenetNormRelu;

/// The way back through BN-ReLU, without what the mean and variance's own dependence on x subtracts. With g = dy where
/// scale·x + shift > 0 and 0 elsewhere: gradient (+)= scale·g, and Σ g and Σ g·(x − mean) of each channel, part by
/// part. `gradient` may be `dy`. With `height` dy is the gradient of the means of DensenetNormRelu.
typedef struct DensenetNormReluBackward {
  int type;
  const void* dy;
  int64_t ldy;
  const void* x;
  int64_t ldx;
  int64_t rows;
  int64_t channels;
  const float* scale;
  const float* shift;
  const float* mean;
  void* gradient;
  int64_t ldg;
  int accumulate;
  float* partial;  ///< of `sums_scratch` floats; `finish_norm` reads it
  int64_t height;  ///< 0: dy has the pixels of x
  int64_t width;
} DensenetNormReluBackward;

/// out = gradient + p + q·(x − mean), then dropout's mask as in DensenetMeasure. `out` may be `gradient`.
typedef struct DensenetCorrect {
  int type;
  const void* gradient;
  int64_t ldg;
  const void* x;
  int64_t ldx;
  int64_t rows;
  int64_t channels;
  const float* p;
  const float* q;
  const float* mean;
  const uint8_t* keep;  ///< may be 0
  float keep_scale;
  void* out;
  int64_t ldo;
} DensenetCorrect;

/// scale = weight / √(variance + epsilon), shift = bias − scale·mean. Where `running_mean` is given the running
/// statistics move towards mean and variance · rows/(rows − 1) by `momentum`, and the batch is counted.
typedef struct DensenetPrepareNorm {
  int64_t channels;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* variance;
  float epsilon;
  float* scale;
  float* shift;
  float* running_mean;  ///< may be 0
  float* running_variance;
  int64_t* batches;
  float momentum;
  int64_t rows;
} DensenetPrepareNorm;

/// Adds up the parts of `norm_relu_backward`: the gradients of weight and bias (each may be 0), and the terms of
/// `correct`, p −= scale·Σg/rows and q −= scale·r²·Σg(x−mean)/rows with r = 1/√(variance + epsilon).
typedef struct DensenetFinishNorm {
  int64_t rows;
  int64_t channels;
  const float* partial;
  const float* weight;
  const float* variance;
  float epsilon;
  float* weight_gradient;
  float* bias_gradient;
  float* p;
  float* q;
  int accumulate;  ///< 0: p and q are written, not moved
} DensenetFinishNorm;

typedef struct DensenetKernels {
  int version;
  int (*use_device)(int index);  ///< of this thread, before its other calls; the library has a CUDA runtime of its own
  int64_t (*measure_scratch)(int64_t rows, int64_t channels);
  int64_t (*sums_scratch)(int64_t rows, int64_t channels);
  int (*measure)(const DensenetMeasure* task, void* stream);
  int (*norm_relu)(const DensenetNormRelu* task, void* stream);
  int (*norm_relu_backward)(const DensenetNormReluBackward* task, void* stream);
  int (*correct)(const DensenetCorrect* task, void* stream);
  int (*prepare_norm)(const DensenetPrepareNorm* task, void* stream);
  int (*finish_norm)(const DensenetFinishNorm* task, void* stream);
  const char* (*describe_error)(int error);
} DensenetKernels;

/// The one symbol that the library exports.
const DensenetKernels* densenet_cuda_kernels(void);

#ifdef __cplusplus
}
#endif
