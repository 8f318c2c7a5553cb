#include "core/data/operation.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "core/data/color.h"
#include "core/data/warp.h"

namespace densenet {

namespace {

/// Maps N×2×3 from their six numbers, each N or one for all.
at::Tensor maps_of(const at::Tensor& like, std::initializer_list<at::Tensor> numbers) {
  std::vector<at::Tensor> columns;
  for (const at::Tensor& number : numbers) columns.push_back(number.to(at::kDouble).expand_as(like));
  return at::stack(columns, 1).view({like.size(0), 2, 3});
}

at::Tensor shear(const at::Tensor& images, const at::Tensor& tangents, bool along_x) {
  const at::Tensor one = at::ones({1});
  const at::Tensor none = at::zeros({1});
  // torchvision slants these about the corner, not the middle.
  const double half = static_cast<double>(along_x ? images.size(2) : images.size(3)) * 0.5;
  const at::Tensor shift = tangents * half;
  return warp(images,
              along_x ? maps_of(tangents, {one, tangents, shift, none, one, none})
                      : maps_of(tangents, {one, none, none, tangents, one, shift}),
              Sampling::kNearest);
}

at::Tensor translate(const at::Tensor& images, const at::Tensor& pixels, bool along_x) {
  const at::Tensor one = at::ones({1});
  const at::Tensor none = at::zeros({1});
  const at::Tensor back = -pixels.trunc();
  return warp(images,
              along_x ? maps_of(pixels, {one, none, back, none, one, none})
                      : maps_of(pixels, {one, none, none, none, one, back}),
              Sampling::kNearest);
}

at::Tensor rotate(const at::Tensor& images, const at::Tensor& degrees) {
  const at::Tensor angle = degrees * (std::numbers::pi / 180.0);
  const at::Tensor none = at::zeros({1});
  const at::Tensor cosine = angle.cos();
  const at::Tensor sine = angle.sin();
  return warp(images, maps_of(angle, {cosine, -sine, none, sine, cosine, none}), Sampling::kNearest);
}

/// The strengths of an operation at `bins` bins; one of them alone where it has no strength.
struct Strengths {
  double first = 0.0;
  double last = 0.0;
  bool either_way = false;  ///< its sign is drawn
};

Strengths strengths_of(Operation operation, OperationSpace space, std::int64_t height, std::int64_t width) {
  const bool wide = space == OperationSpace::kTrivialAugmentWide;
  // 150 of 331 pixels, the sizes of RandAugment's paper.
  const auto way = [&](std::int64_t side) { return wide ? 32.0 : 150.0 / 331.0 * static_cast<double>(side); };
  switch (operation) {
    case Operation::kShearX:
    case Operation::kShearY:
      return {.last = wide ? 0.99 : 0.3, .either_way = true};
    case Operation::kTranslateX:
      return {.last = way(width), .either_way = true};
    case Operation::kTranslateY:
      return {.last = way(height), .either_way = true};
    case Operation::kRotate:
      return {.last = wide ? 135.0 : 30.0, .either_way = true};
    case Operation::kBrightness:
    case Operation::kColor:
    case Operation::kContrast:
    case Operation::kSharpness:
      return {.last = wide ? 0.99 : 0.9, .either_way = true};
    case Operation::kPosterize:
      return {.first = 8.0, .last = wide ? 2.0 : 4.0};
    case Operation::kSolarize:
      return {.first = 255.0};
    case Operation::kIdentity:
    case Operation::kAutoContrast:
    case Operation::kEqualize:
      return {};
  }
  return {};
}

at::Tensor magnitudes_at(Operation operation, const Strengths& strengths, const at::Tensor& bins_of,
                         std::int64_t bins) {
  // Bits are whole; torch rounds halves to even, and so does torchvision with it.
  if (operation == Operation::kPosterize) {
    const double bins_a_bit = static_cast<double>(bins - 1) / (strengths.first - strengths.last);
    return strengths.first - (bins_of.to(at::kDouble) / bins_a_bit).round();
  }
  // In single precision, as torchvision's are: a nearest pixel may hang on the last digit.
  return at::linspace(strengths.first, strengths.last, bins, at::kFloat).index_select(0, bins_of).to(at::kDouble);
}

}  // namespace

at::Tensor apply_operation(const at::Tensor& images, Operation operation, const at::Tensor& magnitudes) {
  switch (operation) {
    case Operation::kIdentity:
      return images;
    case Operation::kShearX:
    case Operation::kShearY:
      return shear(images, magnitudes, operation == Operation::kShearX);
    case Operation::kTranslateX:
    case Operation::kTranslateY:
      return translate(images, magnitudes, operation == Operation::kTranslateX);
    case Operation::kRotate:
      return rotate(images, magnitudes);
    case Operation::kBrightness:
      return adjust_brightness(images, magnitudes + 1.0);
    case Operation::kColor:
      return adjust_saturation(images, magnitudes + 1.0);
    case Operation::kContrast:
      return adjust_contrast(images, magnitudes + 1.0);
    case Operation::kSharpness:
      return adjust_sharpness(images, magnitudes + 1.0);
    case Operation::kPosterize:
      return posterize(images, magnitudes);
    case Operation::kSolarize:
      return solarize(images, magnitudes);
    case Operation::kAutoContrast:
      return stretch_contrast(images);
    case Operation::kEqualize:
      return equalize(images);
  }
  return images;
}

at::Tensor apply_random_operations(const at::Tensor& images, OperationSpace space, const at::Tensor& bins_of,
                                   std::int64_t bins, at::Generator& generator) {
  const std::int64_t count = images.size(0);
  const at::Tensor chosen = at::randint(kOperations, {count}, generator, at::TensorOptions().dtype(at::kLong));
  const at::Tensor signs = at::randint(2, {count}, generator, at::TensorOptions().dtype(at::kDouble)) * 2.0 - 1.0;
  at::Tensor result = images.clone();
  for (std::int64_t index = 1; index < kOperations; ++index) {  // nothing to do for the identity
    const auto operation = static_cast<Operation>(index);
    const at::Tensor which = chosen.eq(index).nonzero().squeeze(1);
    if (which.numel() == 0) continue;
    const Strengths strengths = strengths_of(operation, space, images.size(2), images.size(3));
    at::Tensor magnitudes = magnitudes_at(operation, strengths, bins_of.index_select(0, which), bins);
    if (strengths.either_way) magnitudes = magnitudes * signs.index_select(0, which);
    const at::Tensor place = which.to(images.device());
    result.index_copy_(0, place, apply_operation(images.index_select(0, place), operation, magnitudes));
  }
  return result;
}

}  // namespace densenet
