#include "core/train/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace densenet {

void MetricsSum::add(double mean_loss, std::int64_t correct, std::int64_t size) {
  loss_ += mean_loss * static_cast<double>(size);
  correct_ += correct;
  size_ += size;
}

Metrics MetricsSum::result() const {
  const auto size = static_cast<double>(std::max<std::int64_t>(size_, 1));
  return {.loss = loss_ / size, .top1 = static_cast<double>(correct_) / size, .size = size_};
}

std::int64_t count_correct(const at::Tensor& logits, const at::Tensor& labels) {
  return logits.argmax(1).eq(labels).sum().item<std::int64_t>();
}

void EvaluationSum::add(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor predicted = logits.argmax(1);
  const auto correct = predicted.eq(labels).sum().item<std::int64_t>();
  sum_.add(at::cross_entropy_loss(logits, labels).item<double>(), correct, labels.size(0));
  const at::Tensor best = std::get<1>(logits.topk(std::min<std::int64_t>(5, classes_), 1));
  correct5_ += best.eq(labels.unsqueeze(1)).any(1).sum().item<std::int64_t>();
  size_ += labels.size(0);
  const at::Tensor counts = at::bincount((labels * classes_) + predicted, {}, classes_ * classes_);
  confusion_ = confusion_.defined() ? confusion_ + counts : counts;
}

Evaluation EvaluationSum::result() const {
  Evaluation evaluation{.metrics = sum_.result(), .top5 = 0.0, .classes = classes_, .confusion = {}};
  evaluation.top5 = static_cast<double>(correct5_) / static_cast<double>(std::max<std::int64_t>(size_, 1));
  evaluation.confusion.assign(static_cast<std::size_t>(classes_ * classes_), 0);
  if (confusion_.defined()) {
    const at::Tensor counts = confusion_.to(at::kCPU, at::kLong).contiguous();
    std::copy_n(counts.const_data_ptr<std::int64_t>(), counts.numel(), evaluation.confusion.begin());
  }
  return evaluation;
}

}  // namespace densenet
