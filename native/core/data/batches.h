#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace densenet {

/// Some images and their labels, on the device on which they are used.
struct Batch {
  at::Tensor images;  ///< N×C×H×W
  at::Tensor labels;  ///< N, int64, each the index of a class; or N×classes, float32

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

  /// Begins an epoch; a generator shuffles, none keeps the order.
  virtual void start_epoch(at::Generator* shuffle) = 0;

  /// The next batch of the epoch, or nothing at its end.
  virtual std::optional<Batch> next() = 0;

  /// Passes over the next batch, as when a run goes on in the middle of an epoch.
  virtual void skip() { next(); }

  /// Batches in an epoch.
  [[nodiscard]] virtual std::int64_t steps() const = 0;
};

/// Batches of images in memory, or of what was computed from them. The last may be smaller; one smaller than `smallest`
/// joins the batch before it, since batch norm cannot learn from a single value a channel.
class TensorBatches final : public BatchSource {
 public:
  /// @param images N×…, @param labels N or N×classes; both in ordinary memory or on any device.
  TensorBatches(at::Tensor images, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
                c10::Device device);

  [[nodiscard]] std::int64_t size() const { return images_.size(0); }

  void start_epoch(at::Generator* shuffle) override;
  std::optional<Batch> next() override;
  void skip() override { position_ += next_size(); }
  [[nodiscard]] std::int64_t steps() const override;

 private:
  /// Images of the next batch; 0 at the end.
  [[nodiscard]] std::int64_t next_size() const;

  at::Tensor images_;
  at::Tensor labels_;
  std::int64_t batch_size_;
  std::int64_t smallest_;
  c10::Device device_;
  at::Tensor order_;  // undefined for the order of the data set
  std::int64_t position_ = 0;
};

/// Throws ERR_LABEL_OUT_OF_RANGE, naming the first label that is no class or, of labels N×classes, is not from 0 to 1;
/// ERR_INVALID_ARGUMENT where those are for another number of classes. On the CPU, always: a label that reaches a
/// CUDA kernel unchecked would make the device unusable.
void check_labels(const at::Tensor& labels, std::int64_t num_classes, const char* what);

}  // namespace densenet
