#include "core/model/dropout.h"

#include <ATen/ATen.h>

namespace densenet {

at::Tensor Dropout::apply(const at::Tensor& input, bool training) const {
  if (!training || rate == 0.0) return input;
  // Drawn in the order N, C, H, W, however the input lies in memory: a seed means the same masks on every path.
  at::Tensor const mask = at::empty(input.sizes(), input.options()).bernoulli_(1.0 - rate, generator);
  mask.div_(1.0 - rate);
  return input * mask;
}

}  // namespace densenet
