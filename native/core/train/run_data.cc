#include "core/train/run_data.h"

#include <ATen/ATen.h>

#include <utility>

#include "core/data/feed_batches.h"
#include "core/data/images.h"
#include "core/data/prefetch.h"
#include "core/model/network.h"
#include "core/runtime/cuda_switches.h"
#include "core/runtime/tensor_copy.h"
#include "core/train/evaluate.h"
#include "core/train/feature_cache.h"

namespace densenet {

void check_dataset(const Dataset& dataset, const Model& model, const char* images, const char* labels) {
  if (!dataset.feed) check_finite(view_of(dataset.images), images);  // a feed's are checked as they come
  check_labels(view_of(dataset.labels), model.config().num_classes, labels);
}

std::optional<Evaluation> evaluate_dataset(const Model& model, const Dataset& dataset, std::int64_t batch_size,
                                           const EvaluationOptions& options, const std::function<bool()>& stop) {
  check_dataset(dataset, model, "images", "labels");
  RunData data(dataset, batch_size, /*smallest=*/1, c10::Device(model.device()), {.stop = stop});
  return evaluate(model, data.images(), /*pooled=*/false, options, stop);
}

RunData::RunData(const Dataset& dataset, std::int64_t batch_size, std::int64_t smallest, c10::Device device,
                 const Patience& patience)
    : labels_(view_of(dataset.labels)), batch_size_(batch_size), smallest_(smallest), device_(device) {
  if (dataset.feed) {
    images_ = std::make_unique<FeedBatches>(dataset.feed, labels_, batch_size, smallest, device, patience);
  } else if (device.is_cuda() && is_switched_on("prefetch")) {
    const c10::Device host(c10::kCPU);
    ahead_of_ = std::make_unique<TensorBatches>(view_of(dataset.images), labels_, batch_size, smallest, host,
                                                /*locked=*/true);
    images_ = std::make_unique<Prefetcher>(*ahead_of_, device);
  } else {
    images_ = std::make_unique<TensorBatches>(view_of(dataset.images), labels_, batch_size, smallest, device);
  }
}

bool RunData::prepare_features(const Model& model, std::int64_t most_bytes, const std::function<bool()>& stop) {
  NetworkImpl& network = model.network();
  const bool fixed = network.features_are_fixed();
  if (!fixed) features_.reset();
  const std::int64_t bytes = images_->size() * network.feature_channels() * std::int64_t{sizeof(float)};
  if (!fixed || features_ || bytes > most_bytes) return true;
  std::optional<at::Tensor> features = compute_features(network, model.config(), *images_, stop);
  // Where a feed left images out the rows are not the labels' any longer.
  if (features && features->size(0) == images_->size())
    features_.emplace(std::move(*features), labels_, batch_size_, smallest_, device_);
  return features.has_value();
}

}  // namespace densenet
