#pragma once

#include <ATen/core/Tensor.h>

#include "core/train/options.h"

namespace densenet {

/// What training makes small. Labels are N class indices (int64), or N×classes: probabilities for the softmax losses,
/// one yes or no (or something between) a label for the binary ones.
class Loss {
 public:
  Loss(LossOptions options, c10::Device device);

  /// The sum over a batch, float32; divided by the `weight` of the whole step it is the mean that is made small.
  [[nodiscard]] at::Tensor sum(const at::Tensor& logits, const at::Tensor& labels) const;

  /// What a batch counts in a step's mean: its images, its labels where each image has several, or the weights of its
  /// classes.
  [[nodiscard]] double weight(const at::Tensor& labels, std::int64_t classes) const;

  /// How many images are right: whose most probable class is the labels', or all of whose labels are. An int64 on the
  /// logits' device, since whoever reads it waits for the device.
  [[nodiscard]] at::Tensor count_correct(const at::Tensor& logits, const at::Tensor& labels) const;

 private:
  [[nodiscard]] at::Tensor focal(const at::Tensor& logits, const at::Tensor& labels) const;
  [[nodiscard]] at::Tensor binary(const at::Tensor& logits, const at::Tensor& labels) const;

  LossOptions options_;
  at::Tensor weight_;  // undefined where all are 1
};

/// Labels as N×classes, float32: class indices become rows of one 1.
at::Tensor to_probabilities(const at::Tensor& labels, std::int64_t classes);

}  // namespace densenet
