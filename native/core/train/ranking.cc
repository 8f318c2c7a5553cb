#include "core/train/ranking.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace densenet {

namespace {

struct Scored {
  float score;
  bool positive;
};

double area_under_curve(std::vector<Scored>& images) {
  std::ranges::sort(images, {}, &Scored::score);
  double positives = 0.0;
  double negatives = 0.0;
  double won = 0.0;  // pairs
  for (std::size_t begin = 0; begin < images.size();) {
    std::size_t end = begin;
    double tied_positives = 0.0;
    for (; end < images.size() && images[end].score == images[begin].score; ++end) {
      if (images[end].positive) tied_positives += 1.0;
    }
    const double tied_negatives = static_cast<double>(end - begin) - tied_positives;
    won += tied_positives * (negatives + (tied_negatives / 2.0));
    positives += tied_positives;
    negatives += tied_negatives;
    begin = end;
  }
  return won / (positives * negatives);  // 0/0 where there are no pairs
}

}  // namespace

std::vector<double> roc_auc(const at::Tensor& scores, const at::Tensor& positive) {
  const std::int64_t count = scores.size(0);
  const std::int64_t classes = scores.size(1);
  const bool by_index = positive.dim() == 1;
  const at::Tensor values = scores.t().contiguous();
  const at::Tensor truth = by_index ? positive.to(at::kLong).contiguous() : positive.t().contiguous();
  std::vector<double> areas(static_cast<std::size_t>(classes));
  at::parallel_for(0, classes, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Scored> images(static_cast<std::size_t>(count));
    for (std::int64_t one = begin; one < end; ++one) {
      const float* score = values.const_data_ptr<float>() + (one * count);
      bool comparable = true;  // a NaN has no place in an order
      for (std::int64_t image = 0; image < count; ++image) {
        const bool is_of_it = by_index ? truth.const_data_ptr<std::int64_t>()[image] == one
                                       : truth.const_data_ptr<bool>()[(one * count) + image];
        images[static_cast<std::size_t>(image)] = {.score = score[image], .positive = is_of_it};
        comparable = comparable && !std::isnan(score[image]);
      }
      areas[static_cast<std::size_t>(one)] =
          comparable ? area_under_curve(images) : std::numeric_limits<double>::quiet_NaN();
    }
  });
  return areas;
}

}  // namespace densenet
