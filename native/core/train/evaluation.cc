#include "core/train/evaluation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "core/data/batches.h"
#include "core/error.h"
#include "core/runtime/tensor_copy.h"
#include "core/train/ranking.h"

namespace densenet {

namespace {

/// Adds to a sum that begins with the first batch.
void add_to(at::Tensor& sum, const at::Tensor& value) {
  if (sum.defined()) {
    sum.add_(value);
  } else {
    sum = value.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  }
}

/// How often each class occurs.
at::Tensor count_classes(const at::Tensor& indices, std::int64_t classes) { return at::bincount(indices, {}, classes); }

std::vector<double> to_vector(const at::Tensor& sum, std::int64_t length) {
  if (!sum.defined()) return std::vector<double>(static_cast<std::size_t>(length), 0.0);
  const at::Tensor host = sum.to(at::kCPU).contiguous();
  const auto* values = host.const_data_ptr<double>();
  return {values, values + host.numel()};
}

double to_number(const at::Tensor& sum) { return sum.defined() ? sum.item<double>() : 0.0; }

}  // namespace

EvaluationSum::EvaluationSum(std::int64_t classes, EvaluationOptions options)
    : classes_(classes), options_(std::move(options)), calibration_(options_.calibration_bins) {
  for (std::int64_t& k : options_.top_k) k = std::min(k, classes_);
}

void EvaluationSum::add(const at::Tensor& logits, const at::Tensor& labels) {
  size_ += logits.size(0);
  if (options_.multi_label) {
    add_labels(logits.to(at::kDouble), labels);
  } else {
    add_classes(logits.to(at::kDouble), labels);
  }
}

void EvaluationSum::add(const HostTensor& logits, const HostTensor& labels) {
  const at::Tensor scores = view_of(logits);
  const at::Tensor truth = view_of(labels);
  if (at::isnan(scores).any().item<bool>()) throw Error(code::kNonFiniteInput, "the logits hold NaN.");
  check_labels(truth, classes_, "labels");
  add(scores, truth.is_floating_point() ? truth : truth.to(at::kLong));
}

void EvaluationSum::add_classes(const at::Tensor& logits, const at::Tensor& given) {
  const bool rows = given.dim() == 2;
  const at::Tensor labels = rows ? given.argmax(1) : given;
  const at::Tensor log_probability = at::log_softmax(logits, 1);
  const at::Tensor predicted = logits.argmax(1);
  const at::Tensor right = predicted.eq(labels);
  add_to(loss_, (rows ? log_probability * given : log_probability.gather(1, labels.unsqueeze(1))).sum().neg());
  add_to(correct_, right.sum());
  if (!options_.top_k.empty()) {
    const std::int64_t most = *std::ranges::max_element(options_.top_k);
    const at::Tensor among = std::get<1>(logits.topk(most, 1)).eq(labels.unsqueeze(1));
    std::vector<at::Tensor> counts;
    counts.reserve(options_.top_k.size());
    for (const std::int64_t k : options_.top_k) counts.push_back(among.narrow(1, 0, k).any(1).sum());
    add_to(among_, at::stack(counts));
  }
  add_to(support_, count_classes(labels, classes_));
  add_to(predicted_, count_classes(predicted, classes_));
  add_to(hits_, count_classes(labels.masked_select(right), classes_));
  if (!confusion_.defined()) confusion_ = at::zeros({classes_ * classes_}, logits.options());
  confusion_.scatter_add_(0, (labels * classes_) + predicted, at::ones({labels.size(0)}, logits.options()));
  calibration_.add(std::get<0>(log_probability.max(1)).exp(), right);
  if (!options_.ranking) return;
  // Log-odds order images as probabilities do, and tell apart what float32 rounds to a probability of 1.
  keep_scores(log_probability - at::expm1(log_probability).neg_().log_(), labels);
}

void EvaluationSum::add_labels(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor positive = labels.gt(0.5);
  const at::Tensor taken = logits.gt(0.0);  // a probability above a half
  add_to(loss_,
         at::binary_cross_entropy_with_logits(logits, labels.to(at::kDouble), {}, {}, at::Reduction::Sum) / classes_);
  add_to(correct_, taken.eq(positive).all(1).sum());
  add_to(support_, positive.sum(0));
  add_to(predicted_, taken.sum(0));
  add_to(hits_, taken.logical_and(positive).sum(0));
  calibration_.add(logits.sigmoid().flatten(), positive.flatten());
  if (options_.ranking) keep_scores(logits, positive);
}

void EvaluationSum::keep_scores(const at::Tensor& scores, const at::Tensor& positive) {
  scores_.push_back(scores.to(at::kCPU, at::kFloat));
  positive_.push_back(positive.to(at::kCPU));
}

std::vector<double> EvaluationSum::areas() const {
  if (scores_.empty()) return {};
  return roc_auc(at::cat(scores_), at::cat(positive_));
}

Evaluation EvaluationSum::result() const {
  const auto size = static_cast<double>(std::max<std::int64_t>(size_, 1));
  Evaluation evaluation;
  evaluation.metrics = {.loss = to_number(loss_) / size, .top1 = to_number(correct_) / size, .size = size_};
  if (!options_.multi_label) {
    evaluation.top_k = to_vector(among_, static_cast<std::int64_t>(options_.top_k.size()));
    for (double& share : evaluation.top_k) share /= size;
    evaluation.confusion = to_vector(confusion_, classes_ * classes_);
  }
  evaluation.classes = classes_;
  evaluation.support = to_vector(support_, classes_);
  evaluation.predicted = to_vector(predicted_, classes_);
  evaluation.hits = to_vector(hits_, classes_);
  evaluation.roc_auc = areas();
  evaluation.calibration = calibration_.result();
  return evaluation;
}

}  // namespace densenet
