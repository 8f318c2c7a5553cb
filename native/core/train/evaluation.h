#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/host_tensor.h"
#include "core/train/calibration.h"
#include "core/train/metrics.h"

namespace densenet {

/// What an evaluation measures beside loss and accuracy.
struct EvaluationOptions {
  bool multi_label = false;            ///< each image may be of several classes, or of none
  std::vector<std::int64_t> top_k{5};  ///< counts of most probable classes; not with several labels
  std::int64_t calibration_bins = kCalibrationBins;
  bool ranking = false;  ///< the area under the ROC curve, which needs every image's scores to the end
};

/// The metrics of an evaluation, with more detail.
struct Evaluation {
  /// `top1` with several labels: the share of images all of whose labels are right.
  Metrics metrics;
  std::vector<double> top_k;  ///< shares of images whose true class is among the most probable ones, as asked for
  std::int64_t classes = 0;
  std::vector<double> support;    ///< images of each class
  std::vector<double> predicted;  ///< images taken for it
  std::vector<double> hits;       ///< images of it that were taken for it
  /// classes × classes: true class by predicted class; empty with several labels.
  std::vector<double> confusion;
  /// Of each class against the rest; NaN where it is undefined, empty where it was not asked for.
  std::vector<double> roc_auc;
  Calibration calibration;
};

/// Adds up an evaluation batch by batch, on the device. It keeps no logits, but for the scores that `ranking` needs.
class EvaluationSum {
 public:
  EvaluationSum(std::int64_t classes, EvaluationOptions options);

  /// @param logits N×classes; @param labels N class indices (int64), or with several labels N×classes, of which those
  /// of at least 0.5 apply; both on one device.
  void add(const at::Tensor& logits, const at::Tensor& labels);

  /// The same of ordinary memory: class indices are int32, and rows of numbers float32. Throws, and adds nothing, where
  /// a label is no class or not from 0 to 1, or a logit is NaN.
  void add(const HostTensor& logits, const HostTensor& labels);

  [[nodiscard]] Evaluation result() const;

 private:
  void add_classes(const at::Tensor& logits, const at::Tensor& given);
  void add_labels(const at::Tensor& logits, const at::Tensor& labels);
  void keep_scores(const at::Tensor& scores, const at::Tensor& positive);
  [[nodiscard]] std::vector<double> areas() const;

  std::int64_t classes_;
  EvaluationOptions options_;
  CalibrationSum calibration_;
  std::int64_t size_ = 0;
  // Float64, on the device of the logits; undefined before the first batch.
  at::Tensor loss_;
  at::Tensor correct_;                // images
  at::Tensor among_;                  // images, for each of top_k
  at::Tensor support_;                // of each class
  at::Tensor predicted_;              // of each class
  at::Tensor hits_;                   // of each class
  at::Tensor confusion_;              // classes²
  std::vector<at::Tensor> scores_;    // N×classes, float32, on the CPU
  std::vector<at::Tensor> positive_;  // N×classes, bool, or N class indices, on the CPU
};

}  // namespace densenet
