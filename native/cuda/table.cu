#include "device.cuh"
#include "tasks.h"

extern "C" __attribute__((visibility("default"))) const DensenetKernels* densenet_cuda_kernels(void) {
  namespace cuda = densenet::cuda;
  static const DensenetKernels table = {
      .version = kDensenetKernelsVersion,
      .use_device = cuda::use_device,
      .measure_scratch = cuda::measure_scratch,
      .sums_scratch = cuda::sums_scratch,
      .measure = cuda::measure,
      .norm_relu = cuda::norm_relu,
      .norm_relu_backward = cuda::norm_relu_backward,
      .correct = cuda::correct,
      .prepare_norm = cuda::prepare_norm,
      .finish_norm = cuda::finish_norm,
      .describe_error = cuda::error_text,
  };
  return &table;
}
