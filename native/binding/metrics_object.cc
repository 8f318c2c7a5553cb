#include "binding/metrics_object.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "binding/convert.h"
#include "binding/dataset_object.h"
#include "binding/environment.h"
#include "binding/task.h"

namespace densenet::binding {

namespace {

Napi::Value doubles(Napi::Env env, const std::vector<double>& values) {
  Napi::Float64Array array = Napi::Float64Array::New(env, values.size());
  std::ranges::copy(values, array.Data());
  return array;
}

Napi::Object calibration_to_js(Napi::Env env, const Calibration& calibration) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("error", calibration.error);
  object.Set("count", doubles(env, calibration.count));
  object.Set("confidence", doubles(env, calibration.confidence));
  object.Set("accuracy", doubles(env, calibration.accuracy));
  return object;
}

}  // namespace

EvaluationOptions to_evaluation_options(const Napi::Object& object) {
  EvaluationOptions options;
  options.multi_label = object.Get("multiLabel").As<Napi::Boolean>().Value();
  options.top_k.clear();
  const auto top_k = object.Get("topK").As<Napi::Array>();
  for (std::uint32_t index = 0; index < top_k.Length(); ++index) {
    options.top_k.push_back(top_k.Get(index).As<Napi::Number>().Int64Value());
  }
  options.calibration_bins = object.Get("calibrationBins").As<Napi::Number>().Int64Value();
  options.ranking = object.Get("rocAuc").As<Napi::Boolean>().Value();
  return options;
}

Napi::Value evaluation_to_js(Napi::Env env, const Evaluation& evaluation) {
  const Napi::Object object = to_js(env, evaluation.metrics);
  object.Set("topK", doubles(env, evaluation.top_k));
  object.Set("support", doubles(env, evaluation.support));
  object.Set("predicted", doubles(env, evaluation.predicted));
  object.Set("hits", doubles(env, evaluation.hits));
  object.Set("confusion", doubles(env, evaluation.confusion));
  object.Set("rocAuc", doubles(env, evaluation.roc_auc));
  object.Set("calibration", calibration_to_js(env, evaluation.calibration));
  return object;
}

Napi::Value run_evaluation(const Napi::CallbackInfo& info, const std::shared_ptr<Worker>& worker,
                           EvaluateDataset evaluate) {
  return run_stoppable(
      info.Env(), worker,
      [evaluate = std::move(evaluate), dataset = dataset_of(info[0]),
       batch_size = info[1].As<Napi::Number>().Int64Value(),
       options = to_evaluation_options(info[2].As<Napi::Object>())](const std::function<bool()>& stop) {
        return evaluate(dataset, batch_size, options, stop);
      },
      [](Napi::Env js, const std::optional<Evaluation>& evaluation) -> Napi::Value {
        return evaluation ? evaluation_to_js(js, *evaluation) : js.Undefined();
      });
}

Napi::Function MetricsObject::define(Napi::Env env) {
  return DefineClass(env, "NativeMetrics",
                     {InstanceMethod<&MetricsObject::add>("add"), InstanceMethod<&MetricsObject::result>("result")});
}

MetricsObject::MetricsObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MetricsObject>(info) {
  sum_ = std::make_shared<EvaluationSum>(info[0].As<Napi::Number>().Int64Value(),
                                         to_evaluation_options(info[1].As<Napi::Object>()));
}

Napi::Value MetricsObject::add(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [sum = sum_, logits = to_host_tensor(info[0]), labels = to_host_tensor(info[1])] { sum->add(logits, labels); },
      to_undefined);
}

Napi::Value MetricsObject::result(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead, [sum = sum_] { return sum->result(); },
      evaluation_to_js);
}

}  // namespace densenet::binding
