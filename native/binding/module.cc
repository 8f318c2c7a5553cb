/// What the loader calls once libtorch is open: fills the exports that lib/native.ts describes.

#include <napi.h>

#include "binding/convert.h"
#include "binding/dataset_object.h"
#include "binding/environment.h"
#include "binding/model_object.h"
#include "binding/task.h"
#include "binding/trainer_object.h"
#include "core/runtime/info.h"

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

Napi::Value augment_images(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), Environment::of(info.Env()).general_worker(), JobKind::kRead,
      [images = to_host_tensor(info[0]), changes = to_augmentations(info[1].As<Napi::Array>()),
       seed = to_seed(info[2])] { return augment_once(images, changes, seed.value_or(0)); },
      [](Napi::Env env, const HostTensor& changed) -> Napi::Value { return to_js(env, changed); });
}

void shut_down(const Napi::CallbackInfo& info) { Environment::of(info.Env()).shut_down(); }

void define_exports(Napi::Env env, Napi::Object exports) {
  auto environment = std::make_unique<Environment>(env);
  environment->model_class = Napi::Persistent(ModelObject::define(env));
  env.SetInstanceData<Environment>(environment.release());  // the environment owns it from here on
  exports.Set("builtAgainst", Napi::String::New(env, DENSENET_LIBTORCH_VERSION));
  exports.Set("loadedVersion", Napi::String::New(env, loaded_libtorch_version()));
  exports.Set("createModel", Napi::Function::New(env, ModelObject::create, "createModel"));
  exports.Set("runtimeFacts", Napi::Function::New(env, get_runtime_facts, "runtimeFacts"));
  exports.Set("manualSeed", Napi::Function::New(env, manual_seed, "manualSeed"));
  exports.Set("preparePicture", Napi::Function::New(env, prepare_picture_task, "preparePicture"));
  exports.Set("augment", Napi::Function::New(env, augment_images, "augment"));
  exports.Set("shutDown", Napi::Function::New(env, shut_down, "shutDown"));
  exports.Set("NativeTrainer", TrainerObject::define(env));
  exports.Set("NativeDataset", DatasetObject::define(env));
}

}  // namespace

}  // namespace densenet::binding

extern "C" __attribute__((visibility("default"))) napi_value densenet_core_init(napi_env env, napi_value exports) {
  return Napi::details::WrapCallback(env, [&] {
    densenet::binding::define_exports(env, Napi::Object(env, exports));
    return exports;
  });
}
