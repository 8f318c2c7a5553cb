#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace densenet {

/// The area under the ROC curve of each class: the share of pairs, one image of the class and one not of it, in which
/// the first has the larger score; a tie counts half (Mann and Whitney, 1947). NaN where the class has no such pair, or
/// a score is NaN.
///
/// @param scores N×classes, float32, on the CPU.
/// @param positive N×classes, bool; or N, the index of each image's class.
std::vector<double> roc_auc(const at::Tensor& scores, const at::Tensor& positive);

}  // namespace densenet
