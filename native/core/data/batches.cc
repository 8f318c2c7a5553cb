#include "core/data/batches.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "core/error.h"

namespace densenet {

std::int64_t next_count(std::int64_t left, std::int64_t batch_size, std::int64_t smallest) {
  const std::int64_t count = std::min(batch_size, left);
  return left - count < smallest ? left : count;
}

std::int64_t count_steps(std::int64_t size, std::int64_t batch_size, std::int64_t smallest) {
  const std::int64_t whole = size / batch_size;
  const std::int64_t rest = size % batch_size;
  return rest >= smallest || (rest > 0 && whole == 0) ? whole + 1 : whole;
}

TensorBatches::TensorBatches(at::Tensor images, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
                             c10::Device device)
    : images_(std::move(images)),
      labels_(std::move(labels)),
      batch_size_(batch_size),
      smallest_(smallest),
      device_(device) {}

void TensorBatches::start_epoch(const at::Tensor& order) {
  position_ = 0;
  order_ = order;
}

std::optional<Batch> TensorBatches::next() {
  const std::int64_t count = next_count(size() - position_, batch_size_, smallest_);
  if (count == 0) return std::nullopt;
  at::Tensor images;
  at::Tensor labels;
  if (order_.defined()) {
    const at::Tensor chosen = order_.narrow(0, position_, count);
    images = images_.index_select(0, chosen.to(images_.device()));
    labels = labels_.index_select(0, chosen.to(labels_.device()));
  } else {
    images = images_.narrow(0, position_, count);
    labels = labels_.narrow(0, position_, count);
  }
  position_ += count;
  return Batch{.images = images.to(device_), .labels = labels.to(device_, at::kLong)};
}

void check_labels(const at::Tensor& labels, std::int64_t num_classes, const char* what) {
  const at::Tensor bad = at::logical_or(labels.lt(0), labels.ge(num_classes)).nonzero();
  if (bad.size(0) == 0) return;
  const auto index = bad[0].item<std::int64_t>();
  throw Error(code::kLabelOutOfRange, std::string(what) + "[" + std::to_string(index) + "] is " +
                                          std::to_string(labels[index].item<std::int64_t>()) + ", but the model has " +
                                          std::to_string(num_classes) + " classes, so a label is from 0 to " +
                                          std::to_string(num_classes - 1) +
                                          ". Mend the label, or create the model with more classes.");
}

}  // namespace densenet
