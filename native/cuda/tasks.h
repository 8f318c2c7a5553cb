#pragma once

#include "kernels.h"

/// The functions behind the table of kernels.h.
namespace densenet::cuda {

int64_t measure_scratch(int64_t rows, int64_t channels);
int64_t sums_scratch(int64_t rows, int64_t channels);
int measure(const DensenetMeasure* task, void* stream);
int norm_relu(const DensenetNormRelu* task, void* stream);
int norm_relu_backward(const DensenetNormReluBackward* task, void* stream);
int correct(const DensenetCorrect* task, void* stream);
int prepare_norm(const DensenetPrepareNorm* task, void* stream);
int finish_norm(const DensenetFinishNorm* task, void* stream);

}  // namespace densenet::cuda
