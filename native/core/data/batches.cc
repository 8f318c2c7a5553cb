#include "core/data/batches.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace densenet {

std::int64_t EpochPlace::steps() const {
  const std::int64_t whole = size_ / batch_size_;
  const std::int64_t rest = size_ % batch_size_;
  return rest >= smallest_ || (rest > 0 && whole == 0) ? whole + 1 : whole;
}

std::int64_t EpochPlace::next_size() const {
  const std::int64_t left = size_ - images_;
  const std::int64_t count = std::min(batch_size_, left);
  return left - count < smallest_ ? left : count;
}

void EpochPlace::advance() {
  const std::int64_t count = next_size();
  images_ += count;
  if (count > 0) ++batches_;
}

at::Tensor labels_on(const at::Tensor& labels, c10::Device device) {
  return labels.to(device, labels.is_floating_point() ? at::kFloat : at::kLong);
}

TensorBatches::TensorBatches(at::Tensor images, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
                             c10::Device device, bool locked)
    : images_(std::move(images)),
      labels_(std::move(labels)),
      place_(images_.size(0), batch_size, smallest),
      device_(device),
      locked_(locked) {}

void TensorBatches::start_epoch(const at::Tensor& order) {
  place_.restart();
  order_ = order;
}

std::optional<Batch> TensorBatches::next() {
  const std::int64_t count = place_.next_size();
  if (count == 0) return std::nullopt;
  const at::Tensor images = take(images_, count);
  const at::Tensor labels = take(labels_, count);
  place_.advance();
  return Batch{.images = images.to(device_), .labels = labels_on(labels, device_)};
}

at::Tensor TensorBatches::take(const at::Tensor& all, std::int64_t count) const {
  const at::Tensor chosen = order_.defined() ? order_.narrow(0, place_.images(), count).to(all.device()) : at::Tensor();
  const auto in_order = [&] { return all.narrow(0, place_.images(), count); };
  if (!locked_) return chosen.defined() ? all.index_select(0, chosen) : in_order();
  std::vector<std::int64_t> sizes = all.sizes().vec();
  sizes[0] = count;
  at::Tensor rows = at::empty(sizes, all.options().pinned_memory(true));
  if (chosen.defined()) return at::index_select_out(rows, all, 0, chosen);
  return rows.copy_(in_order());
}

namespace {

/// Labels N×classes: each a probability, or a yes or no.
void check_rows(const at::Tensor& labels, std::int64_t num_classes, const char* what) {
  if (labels.size(1) != num_classes) {
    throw Error(code::kInvalidArgument, std::string(what) + " has " + std::to_string(labels.size(1)) +
                                            " numbers an image, and the model has " + std::to_string(num_classes) +
                                            " classes. Give one number a class.");
  }
  const at::Tensor bad = at::logical_not(at::logical_and(labels.ge(0), labels.le(1))).nonzero();
  if (bad.size(0) == 0) return;
  const auto row = bad[0][0].item<std::int64_t>();
  const auto column = bad[0][1].item<std::int64_t>();
  throw Error(code::kLabelOutOfRange, std::string(what) + "[" + std::to_string(row) + "][" + std::to_string(column) +
                                          "] is " + std::to_string(labels[row][column].item<double>()) +
                                          "; such a label is a number from 0 to 1.");
}

}  // namespace

void check_labels(const at::Tensor& labels, std::int64_t num_classes, const char* what) {
  if (labels.dim() == 2) {
    check_rows(labels, num_classes, what);
    return;
  }
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
