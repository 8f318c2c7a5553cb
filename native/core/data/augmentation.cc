#include "core/data/augmentation.h"

#include <ATen/ATen.h>

#include <utility>

namespace densenet {

namespace {

/// Draws on the CPU, so that a seed gives the same images on every device.
at::Tensor draw_offsets(std::int64_t count, std::int64_t below, at::Generator& generator) {
  return at::randint(below, {count}, generator, at::TensorOptions().dtype(at::kLong));
}

/// `start[n] + 0 … length-1` for each image n.
at::Tensor ranges_from(const at::Tensor& start, std::int64_t length) {
  return start.unsqueeze(1) + at::arange(length, start.options()).unsqueeze(0);
}

at::Tensor random_crop(const at::Tensor& images, std::int64_t padding, at::Generator& generator) {
  const std::int64_t count = images.size(0);
  const std::int64_t channels = images.size(1);
  const std::int64_t height = images.size(2);
  const std::int64_t width = images.size(3);
  const at::Tensor padded = at::constant_pad_nd(images, {padding, padding, padding, padding});
  const at::Tensor top = draw_offsets(count, (2 * padding) + 1, generator).to(images.device());
  const at::Tensor left = draw_offsets(count, (2 * padding) + 1, generator).to(images.device());
  const at::Tensor image = at::arange(count, top.options()).view({count, 1, 1, 1});
  const at::Tensor channel = at::arange(channels, top.options()).view({1, channels, 1, 1});
  const at::Tensor row = ranges_from(top, height).view({count, 1, height, 1});
  const at::Tensor column = ranges_from(left, width).view({count, 1, 1, width});
  return at::index(padded, {image, channel, row, column});
}

at::Tensor random_horizontal_flip(const at::Tensor& images, double probability, at::Generator& generator) {
  const at::Tensor chosen = at::rand({images.size(0)}, generator).lt(probability).to(images.device());
  return at::where(chosen.view({-1, 1, 1, 1}), images.flip({3}), images);
}

}  // namespace

at::Tensor augment(at::Tensor images, std::span<const Augmentation> changes, at::Generator& generator) {
  for (const Augmentation& change : changes) {
    switch (change.kind) {
      case Augmentation::Kind::kRandomCrop:
        images = random_crop(images, change.padding, generator);
        break;
      case Augmentation::Kind::kRandomHorizontalFlip:
        images = random_horizontal_flip(images, change.probability, generator);
        break;
    }
  }
  return images;
}

}  // namespace densenet
