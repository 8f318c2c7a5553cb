#include "core/data/pictures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/runtime/tensor_copy.h"

namespace densenet {

namespace {

at::Tensor resize(const at::Tensor& image, std::int64_t height, std::int64_t width, bool bicubic) {
  if (image.size(2) == height && image.size(3) == width) return image;
  return bicubic ? at::_upsample_bicubic2d_aa(image, {height, width}, /*align_corners=*/false)
                 : at::_upsample_bilinear2d_aa(image, {height, width}, /*align_corners=*/false);
}

/// Brings the shorter side to a length; the longer one is rounded down, as torchvision does it.
at::Tensor resize_shorter_side(const at::Tensor& image, std::int64_t length, bool bicubic) {
  const std::int64_t height = image.size(2);
  const std::int64_t width = image.size(3);
  return height <= width ? resize(image, length, std::max<std::int64_t>(length * width / height, 1), bicubic)
                         : resize(image, std::max<std::int64_t>(length * height / width, 1), length, bicubic);
}

/// The middle `length` of an axis, padded with zeros where there is less.
at::Tensor crop_center(const at::Tensor& image, std::int64_t axis, std::int64_t length) {
  const std::int64_t have = image.size(axis);
  if (have < length) {
    const std::int64_t before = (length - have) / 2;
    const std::int64_t after = length - have - before;
    return axis == 2 ? at::constant_pad_nd(image, {0, 0, before, after}) : at::constant_pad_nd(image, {before, after});
  }
  // Python's round, which torchvision uses, takes a half to the even side; so does nearbyint.
  const auto start = static_cast<std::int64_t>(std::nearbyint(static_cast<double>(have - length) / 2.0));
  return image.narrow(axis, start, length);
}

}  // namespace

HostTensor prepare_picture(const HostTensor& pixels, const PicturePlan& plan) {
  const at::Tensor image = view_of(pixels).permute({2, 0, 1}).unsqueeze(0);
  if (plan.height == 0 || plan.width == 0) return copy_to_host(image.squeeze(0));
  if (plan.resize_size == 0) return copy_to_host(resize(image, plan.height, plan.width, plan.bicubic).squeeze(0));
  const at::Tensor resized = resize_shorter_side(image, plan.resize_size, plan.bicubic);
  return copy_to_host(crop_center(crop_center(resized, 2, plan.height), 3, plan.width).squeeze(0));
}

}  // namespace densenet
