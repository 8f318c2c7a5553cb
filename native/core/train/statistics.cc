#include "core/train/statistics.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <cstdint>

namespace densenet {

StatisticsGuard::StatisticsGuard(const std::vector<at::Tensor>& buffers) {
  const torch::NoGradGuard no_grad;
  for (const at::Tensor& buffer : buffers) {
    (buffer.is_floating_point() ? means_and_variances_ : counters_).buffers.push_back(buffer.view({-1}));
  }
  for (Kept* kept : {&means_and_variances_, &counters_}) {
    if (!kept->buffers.empty()) kept->values = at::cat(kept->buffers);
  }
}

StatisticsGuard::~StatisticsGuard() {
  if (accepted_) return;
  const torch::NoGradGuard no_grad;
  for (const Kept* kept : {&means_and_variances_, &counters_}) {
    std::int64_t start = 0;
    for (const at::Tensor& buffer : kept->buffers) {
      buffer.copy_(kept->values.narrow(0, start, buffer.numel()));
      start += buffer.numel();
    }
  }
}

}  // namespace densenet
