#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/data/batches.h"
#include "core/data/dataset.h"
#include "core/data/feed.h"
#include "core/model/model.h"
#include "core/train/evaluation.h"
#include "core/train/loss.h"

namespace densenet {

/// Where a data set's batches come from in a run: from its images, or from the features that were computed once.
class RunData {
 public:
  RunData(const Dataset& dataset, std::int64_t batch_size, std::int64_t smallest, c10::Device device,
          const Patience& patience);

  BatchSource& images() { return *images_; }

  [[nodiscard]] const at::Tensor& labels() const { return labels_; }

  /// The batches of the features, once they were kept.
  std::optional<TensorBatches>& features() { return features_; }

  /// What an epoch goes over: the features where they are kept.
  BatchSource& batches() { return features_ ? *features_ : *images_; }

  /// Keeps the features of all images where training leaves them as they are and they take no more bytes than this;
  /// forgets them where it does not. Returns false when it was stopped.
  bool prepare_features(const Model& model, std::int64_t most_bytes, const std::function<bool()>& stop);

 private:
  at::Tensor labels_;
  std::int64_t batch_size_;
  std::int64_t smallest_;
  c10::Device device_;
  std::unique_ptr<BatchSource> ahead_of_;  // whose batches `images_` brings to the device ahead of time; may be empty
  std::unique_ptr<BatchSource> images_;
  std::optional<TensorBatches> features_;
};

/// Checks images and labels on the CPU, before anything is trained. `images` and `labels` are what messages call them.
void check_dataset(const Dataset& dataset, const Model& model, const char* images, const char* labels);

/// Checks a data set and goes once over it, see `evaluate`.
std::optional<Evaluation> evaluate_dataset(const Model& model, const Dataset& dataset, std::int64_t batch_size,
                                           const EvaluationOptions& options, const std::function<bool()>& stop);

}  // namespace densenet
