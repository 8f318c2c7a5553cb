#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace densenet {

/// Some images and their labels, on the device on which they are used.
struct Batch {
  at::Tensor images;  ///< N×C×H×W
  at::Tensor labels;  ///< N, int64

  [[nodiscard]] std::int64_t size() const { return images.size(0); }
};

/// Where batches come from, epoch after epoch.
class BatchSource {
 public:
  BatchSource() = default;
  virtual ~BatchSource() = default;
  BatchSource(const BatchSource&) = delete;
  BatchSource& operator=(const BatchSource&) = delete;
  BatchSource(BatchSource&&) = delete;
  BatchSource& operator=(BatchSource&&) = delete;

  /// Images in all.
  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Begins an epoch over these images (int64, on the CPU), or over all in the order that they are in.
  virtual void start_epoch(const at::Tensor& order) = 0;

  /// The next batch of the epoch; nothing at its end, or when the wait for it was stopped.
  virtual std::optional<Batch> next() = 0;

  /// Passes over the next batch, as when a run goes on in the middle of an epoch.
  virtual void skip() = 0;

  /// Batches in an epoch.
  [[nodiscard]] virtual std::int64_t steps() const = 0;
};

/// Images in the next batch, when so many are left. The last batch may be smaller; one smaller than `smallest` joins
/// the batch before it, since batch norm cannot learn from a single value a channel.
std::int64_t next_count(std::int64_t left, std::int64_t batch_size, std::int64_t smallest);

/// Batches of so many images.
std::int64_t count_steps(std::int64_t size, std::int64_t batch_size, std::int64_t smallest);

/// Batches of images in memory, or of what was computed from them.
class TensorBatches final : public BatchSource {
 public:
  /// @param images N×…, @param labels N; both in ordinary memory or on any device.
  TensorBatches(at::Tensor images, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
                c10::Device device);

  [[nodiscard]] std::int64_t size() const override { return images_.size(0); }

  void start_epoch(const at::Tensor& order) override;
  std::optional<Batch> next() override;
  void skip() override { position_ += next_count(size() - position_, batch_size_, smallest_); }
  [[nodiscard]] std::int64_t steps() const override { return count_steps(size(), batch_size_, smallest_); }

 private:
  at::Tensor images_;
  at::Tensor labels_;
  std::int64_t batch_size_;
  std::int64_t smallest_;
  c10::Device device_;
  at::Tensor order_;  // undefined for the order of the data set
  std::int64_t position_ = 0;
};

/// Throws ERR_LABEL_OUT_OF_RANGE, naming the first label that is no class. On the CPU, always: a label that reaches a
/// CUDA kernel unchecked would make the device unusable.
void check_labels(const at::Tensor& labels, std::int64_t num_classes, const char* what);

}  // namespace densenet
