#include "core/train/gradients.h"

#include <ATen/ATen.h>

namespace densenet {

at::Tensor norm_on_device(const std::vector<at::Tensor>& gradients, c10::Device device) {
  if (gradients.empty()) return at::zeros({}, at::TensorOptions().device(device));
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)), 2);
}

double norm_of(const std::vector<at::Tensor>& gradients) {
  return gradients.empty() ? 0.0 : norm_on_device(gradients, gradients.front().device()).item<double>();
}

void clip_norm(const std::vector<at::Tensor>& gradients, double norm, double most) {
  constexpr double kEpsilon = 1e-6;  // PyTorch's, against a norm of 0
  const double factor = most / (norm + kEpsilon);
  if (factor < 1.0) at::_foreach_mul_(gradients, factor);
}

void clip_value(const std::vector<at::Tensor>& gradients, double most) {
  at::_foreach_clamp_min_(gradients, -most);
  at::_foreach_clamp_max_(gradients, most);
}

}  // namespace densenet
