#include "core/data/feed_batches.h"

#include <ATen/ATen.h>

#include <span>
#include <utility>

#include "core/data/images.h"

namespace densenet {

FeedBatches::FeedBatches(std::shared_ptr<Feed> feed, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
                         c10::Device device, Patience patience)
    : feed_(std::move(feed)),
      labels_(std::move(labels)),
      place_(labels_.size(0), batch_size, smallest),
      device_(device),
      patience_(std::move(patience)) {}

void FeedBatches::start_epoch(const at::Tensor& order) {
  place_.restart();
  start_ = -1;
  order_ = order.defined() ? order : at::arange(size(), at::kLong);
}

void FeedBatches::begin_pass() {
  start_ = place_.images();
  const std::span<const std::int64_t> indices{order_.const_data_ptr<std::int64_t>(),
                                              static_cast<std::size_t>(order_.numel())};
  feed_->begin({indices.begin() + start_, indices.end()});
}

std::optional<Batch> FeedBatches::next() {
  if (start_ < 0) begin_pass();
  while (const std::int64_t count = place_.next_size()) {
    const std::optional<Feed::Taken> taken = feed_->take(place_.images() - start_, count, patience_);
    if (!taken) return std::nullopt;
    place_.advance();
    const std::int64_t come = taken->images.size(0);
    if (come == 0 || come < std::min(place_.smallest(), count)) continue;
    check_finite(taken->images, "images");
    const at::Tensor labels = labels_.index_select(0, order_.index_select(0, taken->places + start_));
    return Batch{.images = taken->images.to(device_), .labels = labels_on(labels, device_)};
  }
  return std::nullopt;
}

}  // namespace densenet
