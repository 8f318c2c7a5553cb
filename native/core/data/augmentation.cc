#include "core/data/augmentation.h"

#include <ATen/ATen.h>

#include <numbers>
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

/// A number for each image, uniform in [low, high).
at::Tensor draw_uniform(std::int64_t count, double low, double high, at::Generator& generator) {
  return at::rand({count}, generator).mul_(high - low).add_(low);
}

at::Tensor random_affine(const at::Tensor& images, const Augmentation& change, at::Generator& generator) {
  const std::int64_t count = images.size(0);
  const at::Tensor angle = draw_uniform(count, -change.degrees, change.degrees, generator).mul_(std::numbers::pi / 180);
  const at::Tensor scale = draw_uniform(count, change.scale_min, change.scale_max, generator);
  // The map goes from the place in the result to the place in the source, in units of half a side: so the angle turns
  // the other way, the scale divides, and the sides' ratio keeps a turn of an oblong image a turn.
  const double ratio = static_cast<double>(images.size(2)) / static_cast<double>(images.size(3));
  const at::Tensor cosine = angle.cos().div_(scale);
  const at::Tensor sine = angle.sin().div_(scale);
  const at::Tensor zero = at::zeros_like(scale);
  const at::Tensor map = at::stack({cosine, sine * ratio, zero, -sine / ratio, cosine, zero}, 1).view({count, 2, 3});
  const at::Tensor grid = at::affine_grid_generator(map.to(images.device()), images.sizes(), /*align_corners=*/false);
  const at::Tensor source = images.to(at::kFloat);
  const at::Tensor result = at::grid_sampler(source, grid, /*bilinear*/ 0, /*zeros*/ 0, /*align_corners=*/false);
  return images.is_floating_point() ? result : result.round_().to(images.scalar_type());
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
      case Augmentation::Kind::kRandomAffine:
        images = random_affine(images, change, generator);
        break;
    }
  }
  return images;
}

}  // namespace densenet
