#pragma once

#include "device.cuh"

namespace densenet::cuda {

/// The number, mean and sum of squared deviations of some values. Merging two of these, unlike E[x²] − E[x]², keeps the
/// digits of a variance that is small beside the mean (Chan, Golub and LeVeque, 1979).
template <class F>
struct Moments {
  F count = 0;
  F mean = 0;
  F deviations = 0;

  __device__ void merge(F other_count, F other_mean, F other_deviations) {
    if (other_count == 0) return;
    const F total = count + other_count;
    const F difference = other_mean - mean;
    const F share = other_count / total;
    mean += difference * share;
    deviations += other_deviations + difference * difference * count * share;
    count = total;
  }
};

/// Merges the moments of parts, [part][mean, deviations][channel], whose rows are `rows_a_part` but for the last.
int merge_moments(const float* partial, int64_t parts, int64_t rows_a_part, int64_t rows, int64_t channels, float* mean,
                  float* variance, Stream stream);

}  // namespace densenet::cuda
