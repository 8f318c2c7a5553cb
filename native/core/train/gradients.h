#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <vector>

namespace densenet {

/// The Euclidean norm of all gradients as one vector; not finite where one of them is not.
double norm_of(const std::vector<at::Tensor>& gradients);

/// The same on the gradients' device; 0 for none.
at::Tensor norm_on_device(const std::vector<at::Tensor>& gradients, c10::Device device);

/// Scales all gradients alike so that their norm is at most `most`, as torch.nn.utils.clip_grad_norm_.
void clip_norm(const std::vector<at::Tensor>& gradients, double norm, double most);

/// Brings every element into ±`most`.
void clip_value(const std::vector<at::Tensor>& gradients, double most);

}  // namespace densenet
