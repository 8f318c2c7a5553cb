#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace densenet {

/// The Euclidean norm of all gradients as one vector; not finite where one of them is not.
double norm_of(const std::vector<at::Tensor>& gradients);

/// Scales all gradients alike so that their norm is at most `most`, as torch.nn.utils.clip_grad_norm_.
void clip_norm(const std::vector<at::Tensor>& gradients, double norm, double most);

/// Brings every element into ±`most`.
void clip_value(const std::vector<at::Tensor>& gradients, double most);

}  // namespace densenet
