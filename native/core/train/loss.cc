#include "core/train/loss.h"

#include <ATen/ATen.h>

#include <optional>
#include <utility>

namespace densenet {

at::Tensor to_probabilities(const at::Tensor& labels, std::int64_t classes) {
  return labels.dim() == 2 ? labels : at::one_hot(labels, classes).to(at::kFloat);
}

Loss::Loss(LossOptions options, c10::Device device) : options_(std::move(options)) {
  if (!options_.weight.empty()) {
    weight_ = at::tensor(options_.weight, at::TensorOptions().dtype(at::kFloat)).to(device);
  }
}

at::Tensor Loss::sum(const at::Tensor& logits, const at::Tensor& labels) const {
  const at::Tensor scores = logits.to(at::kFloat);  // of a half-precision forward pass
  if (options_.binary()) return binary(scores, labels);
  if (options_.kind == LossOptions::Kind::kFocal) return focal(scores, labels);
  const std::optional<at::Tensor> weight = weight_.defined() ? std::optional(weight_) : std::nullopt;
  return at::cross_entropy_loss(scores, labels, weight, at::Reduction::Sum, /*ignore_index=*/-100,
                                options_.label_smoothing);
}

at::Tensor Loss::focal(const at::Tensor& logits, const at::Tensor& labels) const {
  const std::int64_t classes = logits.size(1);
  at::Tensor wanted = to_probabilities(labels, classes);
  const double smoothing = options_.label_smoothing;
  if (smoothing > 0.0) wanted = (wanted * (1.0 - smoothing)) + (smoothing / static_cast<double>(classes));
  const at::Tensor logarithms = at::log_softmax(logits, 1);
  at::Tensor terms = wanted * (1.0 - logarithms.exp()).pow(options_.gamma) * logarithms;
  if (weight_.defined()) terms = terms * weight_;
  return -terms.sum();
}

at::Tensor Loss::binary(const at::Tensor& logits, const at::Tensor& labels) const {
  at::Tensor wanted = labels;
  const double smoothing = options_.label_smoothing;
  if (smoothing > 0.0) wanted = (wanted * (1.0 - smoothing)) + (smoothing / 2.0);
  const std::optional<at::Tensor> positives = weight_.defined() ? std::optional(weight_) : std::nullopt;
  if (options_.kind == LossOptions::Kind::kBinary) {
    return at::binary_cross_entropy_with_logits(logits, wanted, /*weight=*/{}, positives, at::Reduction::Sum);
  }
  const at::Tensor terms =
      at::binary_cross_entropy_with_logits(logits, wanted, /*weight=*/{}, positives, at::Reduction::None);
  const at::Tensor probability = logits.sigmoid();
  const at::Tensor hit = (probability * wanted) + ((1.0 - probability) * (1.0 - wanted));
  at::Tensor focused = terms * (1.0 - hit).pow(options_.gamma);
  if (options_.alpha >= 0.0) {
    focused = focused * ((options_.alpha * wanted) + ((1.0 - options_.alpha) * (1.0 - wanted)));
  }
  return focused.sum();
}

double Loss::weight(const at::Tensor& labels, std::int64_t classes) const {
  const auto images = static_cast<double>(labels.size(0));
  if (options_.binary()) return images * static_cast<double>(classes);
  // As PyTorch: the mean is by the classes' weights for class indices only, and only of the plain cross-entropy.
  const bool by_class = options_.kind == LossOptions::Kind::kCrossEntropy && weight_.defined() && labels.dim() == 1;
  return by_class ? weight_.index_select(0, labels).sum().item<double>() : images;
}

at::Tensor Loss::count_correct(const at::Tensor& logits, const at::Tensor& labels) const {
  if (options_.binary()) return logits.gt(0).eq(labels.gt(0.5)).all(1).sum();
  const at::Tensor wanted = labels.dim() == 2 ? labels.argmax(1) : labels;
  return logits.argmax(1).eq(wanted).sum();
}

}  // namespace densenet
