#include "core/model/dropout.h"

#include <ATen/ATen.h>

namespace densenet {

at::Tensor Dropout::apply(const at::Tensor& input, bool training) const {
  if (!training || rate == 0.0) return input;
  at::Tensor const mask = at::empty_like(input).bernoulli_(1.0 - rate, generator);
  mask.div_(1.0 - rate);
  return input * mask;
}

}  // namespace densenet
