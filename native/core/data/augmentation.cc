#include "core/data/augmentation.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/data/color.h"
#include "core/data/warp.h"
#include "core/runtime/tensor_copy.h"

namespace densenet {

namespace {

at::Tensor draw_offsets(std::int64_t count, std::int64_t below, at::Generator& generator) {
  return at::randint(below, {count}, generator, at::TensorOptions().dtype(at::kLong));
}

/// `start[n] + 0 … length-1` for each image n.
at::Tensor ranges_from(const at::Tensor& start, std::int64_t length) {
  return start.unsqueeze(1) + at::arange(length, start.options()).unsqueeze(0);
}

/// A number for each image, uniform in [low, high).
at::Tensor draw_uniform(std::int64_t count, Range range, at::Generator& generator) {
  return at::rand({count}, generator).mul_(range.high - range.low).add_(range.low);
}

at::Tensor change_images(const at::Tensor& images, const RandomCrop& crop, at::Generator& generator) {
  const std::int64_t count = images.size(0);
  const std::int64_t channels = images.size(1);
  const std::int64_t height = images.size(2);
  const std::int64_t width = images.size(3);
  const at::Tensor padded = at::constant_pad_nd(images, {crop.padding, crop.padding, crop.padding, crop.padding});
  const at::Tensor top = draw_offsets(count, (2 * crop.padding) + 1, generator).to(images.device());
  const at::Tensor left = draw_offsets(count, (2 * crop.padding) + 1, generator).to(images.device());
  const at::Tensor image = at::arange(count, top.options()).view({count, 1, 1, 1});
  const at::Tensor channel = at::arange(channels, top.options()).view({1, channels, 1, 1});
  const at::Tensor row = ranges_from(top, height).view({count, 1, height, 1});
  const at::Tensor column = ranges_from(left, width).view({count, 1, 1, width});
  return at::index(padded, {image, channel, row, column});
}

/// How often a rectangle is drawn until one fits.
constexpr std::int64_t kAttempts = 10;

/// A rectangle for each image, in pixels; of no height where none fitted.
struct Rectangles {
  at::Tensor top, left, height, width;  ///< N, int64
};

/// Rectangles of a random share of the area and a random ratio of `first` to the other side. `whole`: one that fills
/// the image fits too.
Rectangles draw_rectangles(const at::Tensor& images, Range scale, Range ratio, bool width_first, bool whole,
                           at::Generator& generator) {
  const std::int64_t count = images.size(0);
  const auto height = static_cast<double>(images.size(2));
  const auto width = static_cast<double>(images.size(3));
  const auto draw = [&](Range range) {
    return draw_uniform(count * kAttempts, range, generator).to(at::kDouble).view({count, kAttempts});
  };
  const at::Tensor area = draw(scale) * (height * width);
  const at::Tensor shape = draw({.low = std::log(ratio.low), .high = std::log(ratio.high)}).exp();
  const at::Tensor first = (area * shape).sqrt().round();
  const at::Tensor second = (area / shape).sqrt().round();
  const at::Tensor& heights = width_first ? second : first;
  const at::Tensor& widths = width_first ? first : second;
  const at::Tensor small = whole ? at::logical_and(heights.le(height), widths.le(width))
                                 : at::logical_and(heights.lt(height), widths.lt(width));
  const at::Tensor fits = at::logical_and(small, at::logical_and(heights.gt(0), widths.gt(0)));
  const at::Tensor attempt = fits.to(at::kByte).argmax(1, /*keepdim=*/true);  // the first that fits
  const at::Tensor found = fits.gather(1, attempt).squeeze(1);
  const auto take = [&](const at::Tensor& lengths) {
    return at::where(found, lengths.gather(1, attempt).squeeze(1), at::zeros({count}, at::kDouble)).to(at::kLong);
  };
  Rectangles rectangles{.top = {}, .left = {}, .height = take(heights), .width = take(widths)};
  const auto place = [&](double side, const at::Tensor& lengths) {
    const at::Tensor room = side - lengths.to(at::kDouble) + 1.0;
    return (at::rand({count}, generator, at::TensorOptions().dtype(at::kDouble)) * room).floor_().to(at::kLong);
  };
  rectangles.top = place(height, rectangles.height);
  rectangles.left = place(width, rectangles.width);
  return rectangles;
}

/// The largest rectangle in the middle whose ratio is allowed.
std::array<std::int64_t, 4> central_rectangle(std::int64_t height, std::int64_t width, Range ratio) {
  const double own = static_cast<double>(width) / static_cast<double>(height);
  std::int64_t h = height;
  std::int64_t w = width;
  if (own < ratio.low) h = std::lround(static_cast<double>(width) / ratio.low);
  if (own > ratio.high) w = std::lround(static_cast<double>(height) * ratio.high);
  return {(height - h) / 2, (width - w) / 2, h, w};
}

at::Tensor change_images(const at::Tensor& images, const RandomResizedCrop& crop, at::Generator& generator) {
  const std::int64_t height = crop.height == 0 ? images.size(2) : crop.height;
  const std::int64_t width = crop.width == 0 ? images.size(3) : crop.width;
  const Rectangles drawn =
      draw_rectangles(images, crop.scale, crop.ratio, /*width_first=*/true, /*whole=*/true, generator);
  std::vector<at::Tensor> results;
  for (std::int64_t index = 0; index < images.size(0); ++index) {
    std::array<std::int64_t, 4> place{drawn.top[index].item<std::int64_t>(), drawn.left[index].item<std::int64_t>(),
                                      drawn.height[index].item<std::int64_t>(),
                                      drawn.width[index].item<std::int64_t>()};
    if (place[2] == 0) place = central_rectangle(images.size(2), images.size(3), crop.ratio);
    const at::Tensor part = images.narrow(0, index, 1).narrow(2, place[0], place[2]).narrow(3, place[1], place[3]);
    results.push_back(resize_images(part, height, width, crop.bicubic));
  }
  return at::cat(results);
}

at::Tensor change_images(const at::Tensor& images, const RandomFlip& flip, at::Generator& generator) {
  const at::Tensor chosen = at::rand({images.size(0)}, generator).lt(flip.probability).to(images.device());
  return at::where(chosen.view({-1, 1, 1, 1}), images.flip({flip.horizontal ? 3 : 2}), images);
}

at::Tensor change_images(const at::Tensor& images, const RandomAffine& change, at::Generator& generator) {
  constexpr double kDegree = std::numbers::pi / 180;
  const std::int64_t count = images.size(0);
  const auto height = static_cast<double>(images.size(2));
  const auto width = static_cast<double>(images.size(3));
  const auto draw = [&](double most) { return draw_uniform(count, {.low = -most, .high = most}, generator); };
  const at::Tensor angle = draw(change.degrees).mul_(kDegree);
  const at::Tensor scale = draw_uniform(count, change.scale, generator);
  const at::Tensor slant = draw(change.shear).mul_(kDegree).tan_();
  const at::Tensor right = draw(change.translate_x).mul_(width);
  const at::Tensor down = draw(change.translate_y).mul_(height);
  // In pixels from the centre the result is scale·R(angle)·[1 slant; 0 1]·source + (right, down). Its inverse:
  const at::Tensor cosine = angle.cos().div_(scale);
  const at::Tensor sine = angle.sin().div_(scale);
  const at::Tensor xx = cosine + (slant * sine);
  const at::Tensor xy = sine - (slant * cosine);
  const at::Tensor yx = -sine;
  const at::Tensor& yy = cosine;
  const at::Tensor x0 = -((xx * right) + (xy * down));
  const at::Tensor y0 = -((yx * right) + (yy * down));
  return warp(images, at::stack({xx, xy, x0, yx, yy, y0}, 1).view({count, 2, 3}), Sampling::kBilinear);
}

/// Changes those images of a batch that `which` names, each by its own factor.
template <class Change>
at::Tensor change_some(const at::Tensor& images, const at::Tensor& which, const at::Tensor& factors,
                       const Change& change) {
  const at::Tensor place = which.nonzero().squeeze(1);
  if (place.numel() == 0) return images;
  const at::Tensor on_device = place.to(images.device());
  const at::Tensor changed = change(images.index_select(0, on_device), factors.index_select(0, place));
  return images.index_copy(0, on_device, changed);
}

at::Tensor change_images(const at::Tensor& images, const ColorJitter& jitter, at::Generator& generator) {
  using Adjust = at::Tensor (*)(const at::Tensor&, const at::Tensor&);
  constexpr std::int64_t kKinds = 4;
  const std::array<Adjust, kKinds> adjust{adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue};
  const std::array<Range, kKinds> ranges{jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue};
  const std::int64_t count = images.size(0);
  // Sorting random numbers gives each image an order of its own.
  const at::Tensor order = at::rand({count, kKinds}, generator).argsort(1, /*descending=*/false);
  std::array<at::Tensor, kKinds> factors;
  for (std::size_t kind = 0; kind < kKinds; ++kind) factors[kind] = draw_uniform(count, ranges[kind], generator);
  at::Tensor result = images;
  for (std::int64_t turn = 0; turn < kKinds; ++turn) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const double neutral = kind + 1 == kKinds ? 0.0 : 1.0;
      if (ranges[kind].low == neutral && ranges[kind].high == neutral) continue;
      const at::Tensor which = order.select(1, turn).eq(static_cast<std::int64_t>(kind));
      result = change_some(result, which, factors[kind], adjust[kind]);
    }
  }
  return result;
}

at::Tensor change_images(const at::Tensor& images, const RandomErasing& erasing, at::Generator& generator) {
  const at::Tensor chosen = at::rand({images.size(0)}, generator).lt(erasing.probability);
  const Rectangles drawn =
      draw_rectangles(images, erasing.scale, erasing.ratio, /*width_first=*/false, /*whole=*/false, generator);
  const auto inside = [&](std::int64_t side, const at::Tensor& start, const at::Tensor& length) {
    const at::Tensor place = at::arange(side, at::kLong).unsqueeze(0);
    return at::logical_and(place.ge(start.unsqueeze(1)), place.lt((start + length).unsqueeze(1)));
  };
  const at::Tensor rows =
      inside(images.size(2), drawn.top, at::where(chosen, drawn.height, at::zeros_like(drawn.height)));
  const at::Tensor columns = inside(images.size(3), drawn.left, drawn.width);
  const at::Tensor erased = at::logical_and(rows.unsqueeze(2), columns.unsqueeze(1)).unsqueeze(1).to(images.device());
  if (!erasing.noise) return at::where(erased, at::full({}, erasing.value, images.options()), images);
  const at::Tensor noise = images.is_floating_point()
                               ? at::randn(images.sizes(), generator)
                               : at::randint(256, images.sizes(), generator, at::TensorOptions().dtype(at::kByte));
  return at::where(erased, noise.to(images.device(), images.scalar_type()), images);
}

at::Tensor change_images(const at::Tensor& images, const RandAugment& change, at::Generator& generator) {
  const at::Tensor bins = at::full({images.size(0)}, change.magnitude, at::TensorOptions().dtype(at::kLong));
  at::Tensor result = images;
  for (std::int64_t turn = 0; turn < change.operations; ++turn) {
    result = apply_random_operations(result, OperationSpace::kRandAugment, bins, change.bins, generator);
  }
  return result;
}

at::Tensor change_images(const at::Tensor& images, const TrivialAugment& change, at::Generator& generator) {
  const at::Tensor bins = draw_offsets(images.size(0), change.bins, generator);
  return apply_random_operations(images, OperationSpace::kTrivialAugmentWide, bins, change.bins, generator);
}

at::Tensor change_images(const at::Tensor& images, const FixedOperation& change, at::Generator& /*generator*/) {
  return apply_operation(images, change.operation,
                         at::full({images.size(0)}, change.magnitude, at::TensorOptions().dtype(at::kDouble)));
}

}  // namespace

at::Tensor augment(at::Tensor images, std::span<const Augmentation> changes, at::Generator& generator) {
  for (const Augmentation& change : changes) {
    images = std::visit([&](const auto& known) { return change_images(images, known, generator); }, change);
  }
  return images;
}

HostTensor augment_once(const HostTensor& images, std::span<const Augmentation> changes, std::uint64_t seed) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return copy_to_host(augment(view_of(images), changes, generator));
}

}  // namespace densenet
