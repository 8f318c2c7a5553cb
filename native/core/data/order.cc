#include "core/data/order.h"

#include <ATen/ATen.h>

namespace densenet {

at::Tensor draw_order(Order order, const at::Tensor& labels, at::Generator& generator) {
  const std::int64_t count = labels.size(0);
  switch (order) {
    case Order::kGiven:
      return {};
    case Order::kShuffled:
      return at::randperm(count, generator, at::TensorOptions().dtype(at::kLong));
    case Order::kBalanced: {
      const at::Tensor classes = labels.to(at::kLong);
      const at::Tensor weights = classes.bincount().to(at::kDouble).reciprocal_().index_select(0, classes);
      return at::multinomial(weights, count, /*replacement=*/true, generator);
    }
  }
  return {};
}

}  // namespace densenet
