#include "core/weights/adapt_input.h"

#include <ATen/ATen.h>

namespace densenet {

at::Tensor adapt_input(const at::Tensor& filters, std::int64_t channels) {
  constexpr std::int64_t rgb = 3;
  const at::Tensor exact = filters.to(at::kFloat);
  if (channels == 1) return exact.sum(1, /*keepdim=*/true);
  const std::int64_t times = (channels + rgb - 1) / rgb;
  return exact.repeat({1, times, 1, 1})
      .narrow(1, 0, channels)
      .mul(static_cast<double>(rgb) / static_cast<double>(channels));
}

}  // namespace densenet
