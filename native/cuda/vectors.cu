/// What is done once a channel: a batch norm's scale and shift, its running statistics, and its gradients.

#include "columns.cuh"
#include "part_sums.cuh"
#include "tasks.h"

namespace densenet::cuda {

namespace {

__device__ double reciprocal_deviation(float variance, float epsilon) {
  return 1.0 / sqrt(static_cast<double>(variance) + static_cast<double>(epsilon));
}

__global__ void __launch_bounds__(kThreads) prepare_norm_kernel(const DensenetPrepareNorm task) {
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (task.running_mean != nullptr && channel == 0) *task.batches += 1;
  if (channel >= task.channels) return;
  const float mean = task.mean[channel];
  const float variance = task.variance[channel];
  const double scale = static_cast<double>(task.weight[channel]) * reciprocal_deviation(variance, task.epsilon);
  task.scale[channel] = static_cast<float>(scale);
  task.shift[channel] = static_cast<float>(static_cast<double>(task.bias[channel]) - scale * static_cast<double>(mean));
  if (task.running_mean == nullptr) return;
  const float unbiased =
      variance * static_cast<float>(static_cast<double>(task.rows) / static_cast<double>(task.rows - 1));
  task.running_mean[channel] += task.momentum * (mean - task.running_mean[channel]);
  task.running_variance[channel] += task.momentum * (unbiased - task.running_variance[channel]);
}

__global__ void __launch_bounds__(PartSums::kThreads) finish_norm_kernel(const DensenetFinishNorm task, int64_t parts) {
  __shared__ PartSums sums;
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * PartSums::kChannels + threadIdx.x;
  double own_g = 0.0;
  double own_gx = 0.0;
  if (channel < task.channels) {
    DENSENET_UNROLL_BY(4)
    for (int64_t part = threadIdx.y; part < parts; part += PartSums::kParts) {
      own_g += static_cast<double>(task.partial[2 * part * task.channels + channel]);
      own_gx += static_cast<double>(task.partial[(2 * part + 1) * task.channels + channel]);
    }
  }
  const double g = sums.add(own_g);
  const double gx = sums.add(own_gx);
  if (threadIdx.y != 0 || channel >= task.channels) return;
  const double deviation = reciprocal_deviation(task.variance[channel], task.epsilon);
  if (task.weight_gradient != nullptr) task.weight_gradient[channel] = static_cast<float>(gx * deviation);
  if (task.bias_gradient != nullptr) task.bias_gradient[channel] = static_cast<float>(g);
  const double share_of_row = static_cast<double>(task.weight[channel]) * deviation / static_cast<double>(task.rows);
  const float p = task.accumulate != 0 ? task.p[channel] : 0.0F;
  const float q = task.accumulate != 0 ? task.q[channel] : 0.0F;
  task.p[channel] = static_cast<float>(p - share_of_row * g);
  task.q[channel] = static_cast<float>(q - share_of_row * deviation * deviation * gx);
}

}  // namespace

int prepare_norm(const DensenetPrepareNorm* task, void* stream) {
  return launch(prepare_norm_kernel, dim3(static_cast<unsigned>(ceil_div(task->channels, kThreads)), 1, 1),
                dim3(kThreads, 1, 1), static_cast<Stream>(stream), *task);
}

int finish_norm(const DensenetFinishNorm* task, void* stream) {
  return launch(finish_norm_kernel, PartSums::grid(task->channels), PartSums::block(), static_cast<Stream>(stream),
                *task, Columns::part_count(task->rows));
}

}  // namespace densenet::cuda
