#pragma once

#include <memory>

#include "core/data/batches.h"
#include "core/data/feed.h"

namespace densenet {

/// Batches of images that a feed brings in the course of the run. An image that was left out is missing from its batch;
/// a batch of which fewer than `smallest` remain is passed over.
class FeedBatches final : public BatchSource {
 public:
  /// @param labels N or N×classes, in ordinary memory
  FeedBatches(std::shared_ptr<Feed> feed, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
              c10::Device device, Patience patience);

  [[nodiscard]] std::int64_t size() const override { return labels_.size(0); }

  void start_epoch(const at::Tensor& order) override;
  std::optional<Batch> next() override;
  void skip() override { place_.advance(); }
  [[nodiscard]] std::int64_t position() const override { return place_.batches(); }
  [[nodiscard]] std::int64_t steps() const override { return place_.steps(); }

 private:
  /// Asks for the images from here on.
  void begin_pass();

  std::shared_ptr<Feed> feed_;
  at::Tensor labels_;
  EpochPlace place_;
  c10::Device device_;
  Patience patience_;
  at::Tensor order_;
  std::int64_t start_ = -1;  // where the feed's pass began, which is not before the first batch is asked for
};

}  // namespace densenet
