#include "core/train/mixing.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/train/loss.h"

namespace densenet {

namespace {

double draw(at::Generator& generator) { return at::rand({1}, generator, at::kDouble).item<double>(); }

/// From Beta(alpha, alpha), as the share of one of two draws from Gamma(alpha).
double draw_share(double alpha, at::Generator& generator) {
  const at::Tensor gammas = at::_standard_gamma(at::full({2}, alpha, at::kDouble), generator);
  const auto first = gammas[0].item<double>();
  const auto both = gammas.sum().item<double>();
  return both > 0.0 ? first / both : 0.5;  // a tiny alpha may give two zeros
}

/// Images in which a box comes from the image before, and `share` becomes what is left of the old ones.
at::Tensor paste_box(const at::Tensor& images, const at::Tensor& others, double& share, at::Generator& generator) {
  const std::int64_t height = images.size(2);
  const std::int64_t width = images.size(3);
  const auto draw_place = [&](std::int64_t length) {
    const auto place = static_cast<std::int64_t>(draw(generator) * static_cast<double>(length));
    return std::min(place, length - 1);
  };
  const double radius = 0.5 * std::sqrt(1.0 - share);
  const std::int64_t x = draw_place(width);
  const std::int64_t y = draw_place(height);
  const auto half_width = static_cast<std::int64_t>(radius * static_cast<double>(width));
  const auto half_height = static_cast<std::int64_t>(radius * static_cast<double>(height));
  const std::int64_t left = std::max<std::int64_t>(x - half_width, 0);
  const std::int64_t right = std::min(x + half_width, width);
  const std::int64_t top = std::max<std::int64_t>(y - half_height, 0);
  const std::int64_t bottom = std::min(y + half_height, height);
  share = 1.0 - (static_cast<double>((right - left) * (bottom - top)) / static_cast<double>(width * height));
  at::Tensor mixed = images.clone();
  const auto box = [&](const at::Tensor& all) {
    return all.narrow(2, top, bottom - top).narrow(3, left, right - left);
  };
  box(mixed).copy_(box(others));
  return mixed;
}

}  // namespace

Batch mix(const Batch& batch, const MixingOptions& options, std::int64_t classes, at::Generator& generator) {
  const bool both = options.mixup > 0.0 && options.cutmix > 0.0;
  const bool boxes = both ? draw(generator) < 0.5 : options.cutmix > 0.0;
  double share = draw_share(boxes ? options.cutmix : options.mixup, generator);
  const at::Tensor others = batch.images.roll(1, 0);
  const at::Tensor images =
      boxes ? paste_box(batch.images, others, share, generator) : (batch.images * share).add_(others, 1.0 - share);
  const at::Tensor labels = to_probabilities(batch.labels, classes);
  return {.images = images, .labels = (labels * share).add_(labels.roll(1, 0), 1.0 - share)};
}

}  // namespace densenet
