/// The CUDA kernels, compiled for the host.

#include "norm.cu"
#include "statistics.cu"
#include "table.cu"
#include "vectors.cu"
