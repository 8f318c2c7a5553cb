#include "core/train/norm_averaging.h"

#include "core/model/network.h"

namespace densenet {

NormAveraging::NormAveraging(const NetworkImpl& network) {
  for (const auto& module : network.modules(/*include_self=*/false)) {
    const auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(module);
    if (norm) norms_.push_back({.module = norm, .momentum = norm->options.momentum().value()});
  }
}

NormAveraging::~NormAveraging() {
  for (const Norm& norm : norms_) norm.module->options.momentum(norm.momentum);
}

void NormAveraging::begin_batch() {
  batches_ += 1;
  // The first batch takes the place of what was there; the n-th counts for 1/n.
  for (const Norm& norm : norms_) norm.module->options.momentum(1.0 / static_cast<double>(batches_));
}

}  // namespace densenet
