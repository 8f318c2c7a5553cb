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

/// The map from a place in the result to the place in the source, 2×3 for each image, in units of half a side as
/// affine_grid_generator takes it.
at::Tensor draw_affine_maps(std::int64_t count, double height, double width, const Augmentation& change,
                            at::Generator& generator) {
  constexpr double kDegree = std::numbers::pi / 180;
  const at::Tensor angle = draw_uniform(count, -change.degrees, change.degrees, generator).mul_(kDegree);
  const at::Tensor scale = draw_uniform(count, change.scale_min, change.scale_max, generator);
  const at::Tensor slant = draw_uniform(count, -change.shear, change.shear, generator).mul_(kDegree).tan_();
  const at::Tensor right = draw_uniform(count, -change.translate_x, change.translate_x, generator).mul_(width);
  const at::Tensor down = draw_uniform(count, -change.translate_y, change.translate_y, generator).mul_(height);
  // In pixels from the centre the result is scale·R(angle)·[1 slant; 0 1]·source + (right, down). Its inverse:
  const at::Tensor cosine = angle.cos().div_(scale);
  const at::Tensor sine = angle.sin().div_(scale);
  const at::Tensor xx = cosine + (slant * sine);
  const at::Tensor xy = sine - (slant * cosine);
  const at::Tensor yx = -sine;
  const at::Tensor& yy = cosine;
  const at::Tensor x0 = -((xx * right) + (xy * down)) * (2 / width);
  const at::Tensor y0 = -((yx * right) + (yy * down)) * (2 / height);
  return at::stack({xx, xy * (height / width), x0, yx * (width / height), yy, y0}, 1).view({count, 2, 3});
}

at::Tensor random_affine(const at::Tensor& images, const Augmentation& change, at::Generator& generator) {
  const at::Tensor maps = draw_affine_maps(images.size(0), static_cast<double>(images.size(2)),
                                           static_cast<double>(images.size(3)), change, generator);
  const at::Tensor grid = at::affine_grid_generator(maps.to(images.device()), images.sizes(), /*align_corners=*/false);
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
