#include "core/data/warp.h"

#include <ATen/ATen.h>

namespace densenet {

at::Tensor warp(const at::Tensor& images, const at::Tensor& maps, Sampling sampling) {
  const std::int64_t count = images.size(0);
  const std::int64_t height = images.size(2);
  const std::int64_t width = images.size(3);
  const auto options = images.options().dtype(at::kFloat);
  // Step by step in single precision as torchvision computes it, so that nearest pixels are the same ones.
  const at::Tensor theta = maps.to(options.device(), at::kFloat);
  const auto half_width = static_cast<double>(width) * 0.5;
  const auto half_height = static_cast<double>(height) * 0.5;
  const at::Tensor x = at::linspace(0.5 - half_width, half_width - 0.5, width, options);
  const at::Tensor y = at::linspace(0.5 - half_height, half_height - 0.5, height, options);
  const at::Tensor base = at::stack({x.unsqueeze(0).expand({height, width}), y.unsqueeze(1).expand({height, width}),
                                     at::ones({height, width}, options)},
                                    -1);
  const at::Tensor scaled = theta.transpose(1, 2) / at::tensor({half_width, half_height}, options);
  const at::Tensor grid =
      base.view({1, height * width, 3}).expand({count, height * width, 3}).bmm(scaled).view({count, height, width, 2});
  const std::int64_t mode = sampling == Sampling::kBilinear ? 0 : 1;
  const at::Tensor result =
      at::grid_sampler(images.to(at::kFloat), grid, mode, /*padding_mode=zeros*/ 0, /*align_corners=*/false);
  return images.is_floating_point() ? result : result.round().to(images.scalar_type());
}

at::Tensor resize_images(const at::Tensor& images, std::int64_t height, std::int64_t width, bool bicubic) {
  if (images.size(2) == height && images.size(3) == width) return images;
  const at::Tensor source = images.to(at::kFloat);
  at::Tensor result = bicubic ? at::_upsample_bicubic2d_aa(source, {height, width}, /*align_corners=*/false)
                              : at::_upsample_bilinear2d_aa(source, {height, width}, /*align_corners=*/false);
  if (images.is_floating_point()) return result;
  return result.clamp(0, 255).round_().to(images.scalar_type());  // bicubic interpolation overshoots
}

}  // namespace densenet
