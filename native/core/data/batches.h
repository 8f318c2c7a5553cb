#pragma once

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

  /// Images in all.
  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Begins an epoch over these images (int64, on the CPU), or over all in the order that they are in.
  virtual void start_epoch(const at::Tensor& order) = 0;

  /// The next batch of the epoch; nothing at its end, or when the wait for it was stopped.
  virtual std::optional<Batch> next() = 0;

  /// Passes over the next batch, as when a run goes on in the middle of an epoch.
  virtual void skip() = 0;

  /// Batches of the epoch that are behind, those that were passed over too.
  [[nodiscard]] virtual std::int64_t position() const = 0;

  /// Batches in an epoch.
  [[nodiscard]] virtual std::int64_t steps() const = 0;
};

/// Where an epoch is. Its last batch may be smaller; one smaller than `smallest` joins the batch before it, since batch
/// norm cannot learn from a single value a channel.
class EpochPlace {
 public:
  EpochPlace(std::int64_t size, std::int64_t batch_size, std::int64_t smallest)
      : size_(size), batch_size_(batch_size), smallest_(smallest) {}

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::int64_t smallest() const { return smallest_; }
  [[nodiscard]] std::int64_t images() const { return images_; }    ///< behind
  [[nodiscard]] std::int64_t batches() const { return batches_; }  ///< behind
  [[nodiscard]] std::int64_t steps() const;                        ///< batches in all
  [[nodiscard]] std::int64_t next_size() const;                    ///< images of the next batch; 0 at the end

  void restart() { images_ = batches_ = 0; }
  void advance();

 private:
  std::int64_t size_;
  std::int64_t batch_size_;
  std::int64_t smallest_;
  std::int64_t images_ = 0;
  std::int64_t batches_ = 0;
};

/// Batches of images in memory, or of what was computed from them.
class TensorBatches final : public BatchSource {
 public:
  /// @param images N×…, @param labels N or N×classes; both in ordinary memory or on any device.
  /// @param locked Leaves batches in page-locked memory, from which a device copies while the caller goes on.
  TensorBatches(at::Tensor images, at::Tensor labels, std::int64_t batch_size, std::int64_t smallest,
                c10::Device device, bool locked = false);

  [[nodiscard]] std::int64_t size() const override { return images_.size(0); }

  void start_epoch(const at::Tensor& order) override;
  std::optional<Batch> next() override;
  void skip() override { place_.advance(); }
  [[nodiscard]] std::int64_t position() const override { return place_.batches(); }
  [[nodiscard]] std::int64_t steps() const override { return place_.steps(); }

 private:
  at::Tensor images_;
  at::Tensor labels_;
  EpochPlace place_;
  [[nodiscard]] at::Tensor take(const at::Tensor& all, std::int64_t count) const;

  c10::Device device_;
  bool locked_;
  at::Tensor order_;  // undefined for the order of the data set
};

/// What labels are on the device: class indices int64, rows of numbers float32.
at::Tensor labels_on(const at::Tensor& labels, c10::Device device);

/// Throws ERR_LABEL_OUT_OF_RANGE, naming the first label that is no class or, of labels N×classes, is not from 0 to 1;
/// ERR_INVALID_ARGUMENT where those are for another number of classes. On the CPU, always: a label that reaches a
/// CUDA kernel unchecked would make the device unusable.
void check_labels(const at::Tensor& labels, std::int64_t num_classes, const char* what);

}  // namespace densenet
