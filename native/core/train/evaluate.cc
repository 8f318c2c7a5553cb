#include "core/train/evaluate.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "core/data/images.h"
#include "core/model/network.h"
#include "core/train/loss.h"

namespace densenet {

namespace {

/// The loss without what only training needs.
LossOptions plain(const LossOptions& options) {
  LossOptions result;
  result.kind = options.binary() ? LossOptions::Kind::kBinary : LossOptions::Kind::kCrossEntropy;
  return result;
}

}  // namespace

std::optional<Evaluation> evaluate(const Model& model, const LossOptions& options, BatchSource& source, bool pooled,
                                   const std::function<bool()>& stop) {
  const torch::NoGradGuard no_grad;
  NetworkImpl& network = model.network();
  const ModelConfig& config = model.config();
  const Loss loss(plain(options), model.device());
  EvaluationSum by_class(config.num_classes);
  MetricsSum by_label;  // where an image's label is a row of numbers
  bool rows = false;
  network.eval();
  source.start_epoch(nullptr);
  while (const std::optional<Batch> batch = source.next()) {
    if (stop()) return std::nullopt;
    const at::Tensor logits =
        pooled ? network.classify(batch->images) : network.forward(to_network_input(batch->images, config));
    const at::Tensor& labels = batch->labels;
    rows = labels.dim() == 2;
    if (!rows) {
      by_class.add(logits, labels);
      continue;
    }
    const double mean = loss.sum(logits, labels).item<double>() / loss.weight(labels, config.num_classes);
    by_label.add(mean, loss.count_correct(logits, labels), batch->size());
    if (!options.binary()) by_class.add(logits, labels.argmax(1));
  }
  Evaluation evaluation = by_class.result();
  if (rows) evaluation.metrics = by_label.result();
  return evaluation;
}

}  // namespace densenet
