#include "core/data/images.h"

#include <ATen/ATen.h>

#include <string>

#include "core/error.h"

namespace densenet {

Normalization::Normalization(const ModelConfig& config, c10::Device device) {
  if (config.mean.empty()) return;
  const auto channels = static_cast<std::int64_t>(config.mean.size());
  const auto options = at::TensorOptions().dtype(at::kDouble);
  mean_ = at::tensor(config.mean, options).to(device, at::kFloat).view({1, channels, 1, 1});
  std_ = at::tensor(config.std, options).to(device, at::kFloat).view({1, channels, 1, 1});
}

at::Tensor Normalization::apply(const at::Tensor& images) const {
  if (images.scalar_type() != at::kByte) return images.to(at::kFloat);
  const at::Tensor scaled = images.to(at::kFloat).div_(255.0);
  return mean_.defined() ? scaled.sub_(mean_).div_(std_) : scaled;
}

at::Tensor to_network_input(const at::Tensor& images, const ModelConfig& config) {
  return images.scalar_type() == at::kByte ? Normalization(config, images.device()).apply(images)
                                           : images.to(at::kFloat);
}

void check_finite(const at::Tensor& images, const char* what) {
  if (!images.is_floating_point()) return;
  constexpr std::int64_t kImagesAtOnce = 256;  // bounds the memory of the check
  for (std::int64_t start = 0; start < images.size(0); start += kImagesAtOnce) {
    const std::int64_t count = std::min(kImagesAtOnce, images.size(0) - start);
    const at::Tensor finite = at::isfinite(images.narrow(0, start, count)).flatten(1).all(1);
    if (finite.all().item<bool>()) continue;
    const std::int64_t index = start + at::logical_not(finite).nonzero()[0].item<std::int64_t>();
    throw Error(code::kNonFiniteInput, std::string(what) + ": image " + std::to_string(index) +
                                           " holds NaN or an infinity. Every value must be finite; check how the image "
                                           "was normalised (a standard deviation of 0?) or leave it out.");
  }
}

}  // namespace densenet
