#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <optional>

#include "core/data/dataset.h"
#include "core/runtime/worker.h"
#include "core/train/evaluation.h"

namespace densenet::binding {

/// Metrics that JavaScript adds to batch by batch. Its calls run on the environment's general thread, in order.
class MetricsObject final : public Napi::ObjectWrap<MetricsObject> {
 public:
  static Napi::Function define(Napi::Env env);

  /// new NativeMetrics(classes, options)
  explicit MetricsObject(const Napi::CallbackInfo& info);

 private:
  /// add(logits, labels): Promise<void>
  Napi::Value add(const Napi::CallbackInfo& info);

  /// result(): Promise<Evaluation>
  Napi::Value result(const Napi::CallbackInfo& info);

  std::shared_ptr<EvaluationSum> sum_;
};

/// An evaluation on a model's worker, as (dataset, batchSize, options) in JavaScript say:
/// { result: Promise<Evaluation | undefined>, stop() }. The result is undefined when `stop` ended it after its batch.
using EvaluateDataset =
    std::function<std::optional<Evaluation>(const DatasetPtr& dataset, std::int64_t batch_size,
                                            const EvaluationOptions& options, const std::function<bool()>& stop)>;
Napi::Value run_evaluation(const Napi::CallbackInfo& info, const std::shared_ptr<Worker>& worker,
                           EvaluateDataset evaluate);

EvaluationOptions to_evaluation_options(const Napi::Object& object);
Napi::Value evaluation_to_js(Napi::Env env, const Evaluation& evaluation);

}  // namespace densenet::binding
