#include "core/model/grad_cam.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

namespace densenet {

HeatMaps grad_cam(NetworkImpl& network, const at::Tensor& images, const std::string& part,
                  const std::vector<std::int64_t>& classes) {
  const torch::AutoGradMode gradients(true);
  network.eval();
  at::Tensor activation;
  const Tap tap = [&](const std::string& name, const at::Tensor& output) {
    if (name == part) activation = output;
  };
  // The images ask for gradients, so that a network that is frozen throughout has them too.
  const at::Tensor logits = network.forward_modules(images.detach().requires_grad_(true), tap);
  const at::Tensor given = at::tensor(classes, at::TensorOptions().dtype(at::kLong)).to(logits.device());
  const at::Tensor chosen = at::where(given.lt(0), logits.argmax(1), given);
  const at::Tensor score = logits.gather(1, chosen.unsqueeze(1)).sum();  // images do not touch one another
  const at::Tensor gradient = torch::autograd::grad({score}, {activation}).front();
  const torch::NoGradGuard no_grad;
  const at::Tensor weights = gradient.mean({2, 3}, /*keepdim=*/true);
  const at::Tensor indices = chosen.to(at::kCPU).contiguous();
  const auto* first = indices.const_data_ptr<std::int64_t>();
  return {.maps = (weights * activation).sum(1).relu_(), .classes = {first, first + indices.numel()}};
}

}  // namespace densenet
