/// What the loader calls once libtorch is open: fills the exports that lib/native.ts describes.

#include <napi.h>

#include "binding/convert.h"
#include "binding/dataset_object.h"
#include "binding/environment.h"
#include "binding/fields.h"
#include "binding/metrics_object.h"
#include "binding/model_object.h"
#include "binding/task.h"
#include "binding/trainer_object.h"
#include "core/runtime/info.h"
#include "core/train/schedule.h"
#include "core/weights/safetensors_writer.h"

namespace densenet::binding {

Napi::Value to_js_error(Napi::Env env, const Failure& failure) {
  const Napi::Error error = Napi::Error::New(env, failure.message);
  // ERR_X becomes ERR_DENSENET_X, so that TypeScript never takes one of Node's own codes for ours.
  error.Set("code", Napi::String::New(env, "ERR_DENSENET_" + std::string(failure.code).substr(4)));
  return error.Value();
}

namespace {

Napi::Value runtime_facts_to_js(Napi::Env env, const RuntimeFacts& facts) {
  const Napi::Object object = Napi::Object::New(env);
  const Napi::Array devices = Napi::Array::New(env, facts.cuda_devices.size());
  for (std::uint32_t index = 0; index < facts.cuda_devices.size(); ++index) {
    devices.Set(index, facts.cuda_devices[index]);
  }
  object.Set("libtorchVersion", facts.libtorch_version);
  object.Set("threads", facts.threads);
  object.Set("cpuCapability", facts.cpu_capability);
  object.Set("cudaDevices", devices);
  object.Set("cudaReason", facts.cuda_reason);
  object.Set("cudaEngine", facts.cuda_engine);
  return object;
}

Napi::Value get_runtime_facts(const Napi::CallbackInfo& info) {
  return run_task(info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead, runtime_facts,
                  runtime_facts_to_js);
}

Napi::Value manual_seed(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [seed = to_seed(info[0])] { seed_everything(seed.value_or(0)); }, to_undefined);
}

Napi::Value prepare_picture_task(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [pixels = to_host_tensor(info[0]), plan = to_picture_plan(info[1].As<Napi::Object>())] {
        return prepare_picture(pixels, plan);
      },
      [](Napi::Env env, const HostTensor& picture) -> Napi::Value { return to_js(env, picture); });
}

/// isVerified(path): whether a file ends in the SHA-256 of all before it.
Napi::Value get_verified(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [path = info[0].As<Napi::String>().Utf8Value()] { return is_verified(path); },
      [](Napi::Env env, bool verified) -> Napi::Value { return Napi::Boolean::New(env, verified); });
}

/// learningRates(schedule, lr, epochs, steps, values): what a schedule makes of a rate, step by step.
Napi::Value get_learning_rates(const Napi::CallbackInfo& info) {
  const auto values = numbers<double>(info[4]);
  std::vector<Metrics> epochs;
  epochs.reserve(values.size());
  for (const double value : values) epochs.push_back({.loss = value, .top1 = value, .size = 1});
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [schedule = to_schedule_options(info[0].As<Napi::Object>()), rate = info[1].As<Napi::Number>().DoubleValue(),
       run = RunLength{.epochs = info[2].As<Napi::Number>().Int64Value(),
                       .steps = info[3].As<Napi::Number>().Int64Value()},
       epochs = std::move(epochs)] { return rates_of_run(schedule, rate, run, epochs); },
      [](Napi::Env env, const std::vector<Rates>& rates) -> Napi::Value {
        std::vector<double> learning_rates;
        std::vector<double> momenta;
        for (const Rates& one : rates) {
          learning_rates.push_back(one.learning_rates.front());
          if (one.momentum) momenta.push_back(*one.momentum);
        }
        const Napi::Object object = Napi::Object::New(env);
        object.Set("learningRate", to_js(env, learning_rates));
        object.Set("momentum", to_js(env, momenta));
        return object;
      });
}

Napi::Value augment_images(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [images = to_host_tensor(info[0]), changes = to_augmentations(info[1].As<Napi::Array>()),
       seed = to_seed(info[2])] { return augment_once(images, changes, seed.value_or(0)); },
      [](Napi::Env env, const HostTensor& changed) -> Napi::Value { return to_js(env, changed); });
}

void shut_down(const Napi::CallbackInfo& info) { Environment::of(info.Env()).shut_down(); }

void define_exports(Napi::Env env, Napi::Object exports) {
  // JavaScript's environment owns it before anything can fail, as all does in a worker that is terminated while it
  // loads: its clean-up is to find it there.
  env.SetInstanceData<Environment>(std::make_unique<Environment>(env).release());
  Environment::of(env).model_class = Napi::Persistent(ModelObject::define(env));
  exports.Set("builtAgainst", Napi::String::New(env, DENSENET_LIBTORCH_VERSION));
  exports.Set("loadedVersion", Napi::String::New(env, loaded_libtorch_version()));
  exports.Set("createModel", Napi::Function::New(env, ModelObject::create, "createModel"));
  exports.Set("runtimeFacts", Napi::Function::New(env, get_runtime_facts, "runtimeFacts"));
  exports.Set("manualSeed", Napi::Function::New(env, manual_seed, "manualSeed"));
  exports.Set("preparePicture", Napi::Function::New(env, prepare_picture_task, "preparePicture"));
  exports.Set("isVerified", Napi::Function::New(env, get_verified, "isVerified"));
  exports.Set("learningRates", Napi::Function::New(env, get_learning_rates, "learningRates"));
  exports.Set("augment", Napi::Function::New(env, augment_images, "augment"));
  exports.Set("shutDown", Napi::Function::New(env, shut_down, "shutDown"));
  exports.Set("NativeTrainer", TrainerObject::define(env));
  exports.Set("NativeMetrics", MetricsObject::define(env));
  exports.Set("NativeDataset", DatasetObject::define(env));
}

}  // namespace

}  // namespace densenet::binding

extern "C" NAPI_MODULE_EXPORT napi_value densenet_core_init(napi_env env, napi_value exports) {
  return Napi::details::WrapCallback(env, [&] {
    densenet::binding::define_exports(env, Napi::Object(env, exports));
    return exports;
  });
}
