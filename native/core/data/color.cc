#include "core/data/color.h"

#include <ATen/ATen.h>

namespace densenet {

namespace {

bool is_bytes(const at::Tensor& images) { return images.scalar_type() == at::kByte; }

double brightest(const at::Tensor& images) { return is_bytes(images) ? 255.0 : 1.0; }

/// One number an image, in the images' place and ready to be spread over them.
at::Tensor spread(const at::Tensor& values, const at::Tensor& images) {
  return values.to(images.device(), at::kFloat).view({-1, 1, 1, 1});
}

/// `share` of the one and the rest of the other; bytes are cut off, not rounded, as torchvision does it.
at::Tensor blend(const at::Tensor& images, const at::Tensor& others, const at::Tensor& shares) {
  const at::Tensor share = spread(shares, images);
  const at::Tensor rest = spread(1.0 - shares.to(at::kDouble), images);  // rounded once, as torchvision's is
  return (images.to(at::kFloat) * share + others.to(at::kFloat) * rest)
      .clamp_(0.0, brightest(images))
      .to(images.scalar_type());
}

at::Tensor grey_of(const at::Tensor& images) {
  const at::Tensor values = images.to(at::kFloat);
  return (values.narrow(1, 0, 1) * 0.2989 + values.narrow(1, 1, 1) * 0.587 + values.narrow(1, 2, 1) * 0.114)
      .to(images.scalar_type());
}

bool has_color(const at::Tensor& images) { return images.size(1) == 3; }

/// Hue, saturation and value, each from 0 to 1, of RGB from 0 to 1.
at::Tensor to_hsv(const at::Tensor& rgb) {
  const at::Tensor red = rgb.select(1, 0);
  const at::Tensor green = rgb.select(1, 1);
  const at::Tensor blue = rgb.select(1, 2);
  const at::Tensor most = rgb.amax(1);
  const at::Tensor least = rgb.amin(1);
  const at::Tensor range = most - least;
  const at::Tensor grey = most.eq(least);
  const at::Tensor ones = at::ones_like(most);
  const at::Tensor saturation = range / at::where(grey, ones, most);
  const at::Tensor divisor = at::where(grey, ones, range);
  const at::Tensor r = (most - red) / divisor;
  const at::Tensor g = (most - green) / divisor;
  const at::Tensor b = (most - blue) / divisor;
  const at::Tensor is_red = most.eq(red);
  const at::Tensor is_green = at::logical_and(most.eq(green), is_red.logical_not());
  const at::Tensor is_blue = at::logical_and(most.ne(green), is_red.logical_not());
  const at::Tensor hue = is_red * (b - g) + is_green * (2.0 + r - b) + is_blue * (4.0 + g - r);
  return at::stack({at::fmod(hue / 6.0 + 1.0, 1.0), saturation, most}, 1);
}

at::Tensor to_rgb(const at::Tensor& hsv) {
  const at::Tensor hue = hsv.select(1, 0) * 6.0;
  const at::Tensor saturation = hsv.select(1, 1);
  const at::Tensor value = hsv.select(1, 2);
  const at::Tensor sector = at::floor(hue);
  const at::Tensor rest = hue - sector;
  const at::Tensor p = (value * (1.0 - saturation)).clamp_(0.0, 1.0);
  const at::Tensor q = (value * (1.0 - saturation * rest)).clamp_(0.0, 1.0);
  const at::Tensor t = (value * (1.0 - saturation * (1.0 - rest))).clamp_(0.0, 1.0);
  const at::Tensor place = sector.to(at::kLong).remainder(6).unsqueeze(1);
  const auto choose = [&](const at::TensorList& by_sector) {
    return at::stack(by_sector, 1).gather(1, place).squeeze(1);
  };
  return at::stack(
      {choose({value, q, p, p, t, value}), choose({t, value, value, q, p, p}), choose({p, p, t, value, value, q})}, 1);
}

/// The image as bytes, changed, and back in its own type.
template <class Change>
at::Tensor through_bytes(const at::Tensor& images, const Change& change) {
  if (is_bytes(images)) return change(images);
  return change((images * 255.0).round_().clamp_(0.0, 255.0).to(at::kByte)).to(images.scalar_type()) / 255.0;
}

}  // namespace

at::Tensor adjust_brightness(const at::Tensor& images, const at::Tensor& factors) {
  return blend(images, at::zeros_like(images), factors);
}

at::Tensor adjust_contrast(const at::Tensor& images, const at::Tensor& factors) {
  const at::Tensor grey = has_color(images) ? grey_of(images) : images;
  const at::Tensor mean = grey.to(at::kFloat).mean({1, 2, 3}, /*keepdim=*/true);
  return blend(images, mean, factors);
}

at::Tensor adjust_saturation(const at::Tensor& images, const at::Tensor& factors) {
  return has_color(images) ? blend(images, grey_of(images), factors) : images;
}

at::Tensor adjust_hue(const at::Tensor& images, const at::Tensor& factors) {
  if (!has_color(images)) return images;
  const at::Tensor hsv = to_hsv(is_bytes(images) ? images.to(at::kFloat) / 255.0 : images);
  const at::Tensor hue = hsv.select(1, 0);
  hue.copy_(at::remainder(hue + spread(factors, images).squeeze(1), 1.0));
  const at::Tensor rgb = to_rgb(hsv);
  // The nearest that keeps the brightest 255 without a range of its own, as torchvision turns floats to bytes.
  return is_bytes(images) ? (rgb * (256.0 - 1e-3)).to(at::kByte) : rgb;
}

at::Tensor adjust_sharpness(const at::Tensor& images, const at::Tensor& factors) {
  const std::int64_t height = images.size(2) - 2;
  const std::int64_t width = images.size(3) - 2;
  if (height <= 0 || width <= 0) return images;
  // A kernel of 3×3 ones with a 5 in the middle, over 13: sums of three along one axis and then the other.
  const at::Tensor values = images.to(at::kFloat);
  const auto rows = [&](std::int64_t start) { return values.narrow(2, start, height); };
  const at::Tensor of_rows = rows(0) + rows(1) + rows(2);
  const auto columns = [&](std::int64_t start) { return of_rows.narrow(3, start, width); };
  at::Tensor inner = (columns(0) + columns(1) + columns(2) + rows(1).narrow(3, 1, width) * 4.0) / 13.0;
  if (is_bytes(images)) inner = inner.round_();
  const at::Tensor blurred = images.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  blurred.narrow(2, 1, height).narrow(3, 1, width).copy_(inner);  // the edge stays
  return blend(images, blurred, factors);
}

at::Tensor posterize(const at::Tensor& images, const at::Tensor& bits) {
  const at::Tensor levels = at::pow(2.0, spread(bits, images));
  if (is_bytes(images)) {
    const at::Tensor step = 256.0 / levels;
    return (at::floor(images.to(at::kFloat) / step) * step).to(at::kByte);
  }
  return at::minimum(at::floor(images * levels), levels - 1.0).clamp_min_(0.0) / levels;
}

at::Tensor solarize(const at::Tensor& images, const at::Tensor& thresholds) {
  const double most = brightest(images);
  const at::Tensor threshold = spread(thresholds, images) * (most / 255.0);
  return at::where(images.ge(threshold), (most - images).to(images.scalar_type()), images);
}

at::Tensor stretch_contrast(const at::Tensor& images) {
  const double most = brightest(images);
  const at::Tensor values = images.to(at::kFloat);
  const at::Tensor low = values.amin({2, 3}, /*keepdim=*/true);
  const at::Tensor high = values.amax({2, 3}, /*keepdim=*/true);
  const at::Tensor flat = low.eq(high);
  const at::Tensor scale = at::where(flat, at::ones_like(low), (high - low).reciprocal() * most);
  const at::Tensor start = at::where(flat, at::zeros_like(low), low);
  return ((values - start) * scale).clamp_(0.0, most).to(images.scalar_type());
}

at::Tensor equalize(const at::Tensor& images) {
  return through_bytes(images, [](const at::Tensor& bytes) {
    const std::int64_t planes = bytes.size(0) * bytes.size(1);
    const at::Tensor values = bytes.reshape({planes, -1}).to(at::kLong);
    const at::Tensor histogram = at::zeros({planes, 256}, values.options());
    histogram.scatter_add_(1, values, at::ones_like(values));
    // All pixels but those of the brightest value that occurs, over 255 steps.
    const at::Tensor highest = values.amax(1, /*keepdim=*/true);
    const at::Tensor step =
        at::floor_divide(histogram.sum(1, /*keepdim=*/true) - histogram.gather(1, highest), at::scalar_tensor(255));
    const at::Tensor divisor = step.clamp_min(1);
    const at::Tensor up_to = at::cumsum(histogram, 1) - histogram;
    const at::Tensor table =
        at::floor_divide(up_to + at::floor_divide(divisor, at::scalar_tensor(2)), divisor).clamp_(0, 255);
    // The darkest value stays black whatever the rounding adds.
    table.select(1, 0).zero_();
    const at::Tensor mapped = at::where(step.eq(0), values, table.gather(1, values));
    return mapped.to(at::kByte).view(bytes.sizes());
  });
}

}  // namespace densenet
