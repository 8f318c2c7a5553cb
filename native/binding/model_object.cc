#include "binding/model_object.h"

#include <string>
#include <utility>
#include <vector>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/metrics_object.h"
#include "binding/task.h"
#include "core/train/run_data.h"

namespace densenet::binding {

namespace {

/// What the constructor takes from `create`: JavaScript cannot make one of these by itself.
struct Parts {
  std::shared_ptr<Model> model;
  std::shared_ptr<Worker> worker;
};

template <class Result>
Napi::Value convert_result(Napi::Env env, const Result& result) {
  return to_js(env, result);
}

Napi::Value top_classes_to_js(Napi::Env env, const TopClasses& top) {
  const Napi::Object object = Napi::Object::New(env);
  const Napi::Array probability = Napi::Array::New(env, top.probability.size());
  for (std::uint32_t place = 0; place < top.probability.size(); ++place) {
    probability.Set(place, Napi::Number::New(env, top.probability[place]));
  }
  object.Set("images", static_cast<double>(top.images));
  object.Set("k", static_cast<double>(top.k));
  object.Set("index", to_js(env, top.index));
  object.Set("probability", probability);
  return object;
}

const char* name_of(PartRun run) {
  switch (run) {
    case PartRun::kEngine:
      return "engine";
    case PartRun::kOperator:
      return "operator";
    case PartRun::kReference:
      return "reference";
    case PartRun::kDevice:
      return "device";
    case PartRun::kTooSmall:
      return "too-small";
    case PartRun::kFrozenMix:
      return "frozen-mix";
    case PartRun::kDropout:
      return "dropout";
  }
  return "engine";
}

std::int64_t state_bytes(const Model& model) {
  std::int64_t bytes = 0;
  for (const StateInfo& info : model.describe_state()) {
    std::int64_t count = 1;
    for (const std::int64_t length : info.shape) count *= length;
    bytes += count * static_cast<std::int64_t>(element_size(info.dtype));
  }
  return bytes;
}

}  // namespace

Napi::Function ModelObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativeModel",
      {InstanceAccessor<&ModelObject::device>("device"), InstanceMethod<&ModelObject::describe_state>("describeState"),
       InstanceMethod<&ModelObject::forward>("forward"), InstanceMethod<&ModelObject::features>("features"),
       InstanceMethod<&ModelObject::predict>("predict"), InstanceMethod<&ModelObject::grad_cam>("gradCam"),
       InstanceMethod<&ModelObject::state>("state"), InstanceMethod<&ModelObject::gradients>("gradients"),
       InstanceMethod<&ModelObject::load>("load"), InstanceMethod<&ModelObject::save>("save"),
       InstanceMethod<&ModelObject::set_trainable>("setTrainable"),
       InstanceMethod<&ModelObject::replace_classifier>("replaceClassifier"),
       InstanceMethod<&ModelObject::estimate_memory>("estimateMemory"),
       InstanceMethod<&ModelObject::plan_step>("planStep"), InstanceMethod<&ModelObject::evaluate>("evaluate"),
       InstanceMethod<&ModelObject::dispose>("dispose")});
}

Napi::Value ModelObject::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::shared_ptr<Worker> const worker = Environment::of(env).start_worker();
  return run_task(
      env, *worker, JobKind::kExclusive,
      [config = to_model_config(info[0].As<Napi::Object>()), device = info[1].As<Napi::String>().Utf8Value(),
       seed = to_seed(info[2]), options = to_run_options(info[3].As<Napi::Object>()), worker] {
        try {
          return std::make_shared<Model>(config, device, seed, options);
        } catch (...) {
          worker->close();  // no model will ever use the thread
          throw;
        }
      },
      [worker](Napi::Env js, std::shared_ptr<Model>& model) -> Napi::Value {
        Parts parts{.model = std::move(model), .worker = worker};
        return Environment::of(js).model_class.New({Napi::External<Parts>::New(js, &parts)});
      });
}

ModelObject::ModelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ModelObject>(info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "use DenseNet.create");
  Parts& parts = *info[0].As<Napi::External<Parts>>().Data();
  model_ = std::move(parts.model);
  worker_ = std::move(parts.worker);
  account(info.Env(), state_bytes(*model_));
}

ModelObject::~ModelObject() {
  // Collected, or the environment ends. Queued calls still run; the environment joins the thread.
  worker_->close();
  Napi::MemoryManagement::AdjustExternalMemory(Env(), -accounted_);
}

void ModelObject::account(Napi::Env env, std::int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - accounted_);
  accounted_ = bytes;
}

Napi::Value ModelObject::device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), model_->device());
}

/// Only right after creation or a queued call, when no other call is running: names and shapes, for TypeScript to keep.
Napi::Value ModelObject::describe_state(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead, [model = model_] { return model->describe_state(); },
      [](Napi::Env env, const std::vector<StateInfo>& infos) -> Napi::Value {
        const Napi::Array array = Napi::Array::New(env, infos.size());
        for (std::uint32_t index = 0; index < infos.size(); ++index) {
          const Napi::Object entry = Napi::Object::New(env);
          entry.Set("name", infos[index].name);
          entry.Set("shape", to_js(env, infos[index].shape));
          entry.Set("dtype", infos[index].dtype == DType::kInt64 ? "I64" : "F32");
          entry.Set("isParameter", infos[index].is_parameter);
          array.Set(index, entry);
        }
        return array;
      });
}

Napi::Value ModelObject::forward(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, images = to_host_tensor(info[0])] { return model->forward(images); },
      convert_result<HostTensor>);
}

Napi::Value ModelObject::features(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, images = to_host_tensor(info[0]), taps = to_strings(info[1].As<Napi::Array>()),
       output_stride = info[2].As<Napi::Number>().Int64Value()] {
        return model->features(images, taps, output_stride);
      },
      convert_result<std::vector<NamedTensor>>);
}

Napi::Value ModelObject::predict(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, images = to_host_tensor(info[0]), k = info[1].As<Napi::Number>().Int64Value()] {
        return model->predict(images, k);
      },
      top_classes_to_js);
}

Napi::Value ModelObject::grad_cam(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, images = to_host_tensor(info[0]), part = info[1].As<Napi::String>().Utf8Value(),
       classes = to_integers(info[2].As<Napi::Array>()), full_size = info[3].As<Napi::Boolean>().Value(),
       as_bytes = info[4].As<Napi::Boolean>().Value()] {
        return model->grad_cam(images, part, classes, full_size, as_bytes);
      },
      [](Napi::Env env, const Model::SeenClasses& seen) -> Napi::Value {
        const Napi::Object object = Napi::Object::New(env);
        object.Set("maps", to_js(env, seen.maps));
        object.Set("classes", to_js(env, seen.classes));
        return object;
      });
}

Napi::Value ModelObject::state(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead, [model = model_] { return model->state(); },
      convert_result<std::vector<NamedTensor>>);
}

Napi::Value ModelObject::gradients(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead, [model = model_] { return model->gradients(); },
      convert_result<std::vector<NamedTensor>>);
}

Napi::Value ModelObject::load(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kExclusive,
      [model = model_, path = info[0].As<Napi::String>().Utf8Value(),
       entries = to_tensor_entries(info[1].As<Napi::Array>()),
       zeros = to_strings(info[2].As<Napi::Array>())] { model->load(path, entries, zeros); },
      to_undefined);
}

Napi::Value ModelObject::save(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, path = info[0].As<Napi::String>().Utf8Value(),
       pieces = to_file_pieces(info[1].As<Napi::Array>())] { model->save(path, pieces); },
      to_undefined);
}

Napi::Value ModelObject::set_trainable(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kExclusive,
      [model = model_, prefix = info[0].As<Napi::String>().Utf8Value(), trainable = info[1].As<Napi::Boolean>().Value(),
       adapting = info[2].As<Napi::Boolean>().Value()] { model->set_trainable(prefix, trainable, adapting); },
      to_undefined);
}

Napi::Value ModelObject::replace_classifier(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kExclusive,
      [model = model_, classes = info[0].As<Napi::Number>().Int64Value(), seed = to_seed(info[1])] {
        model->replace_classifier(classes, seed);
      },
      to_undefined);
}

Napi::Value ModelObject::estimate_memory(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, batch = info[0].As<Napi::Number>().Int64Value(),
       height = info[1].As<Napi::Number>().Int64Value(),
       width = info[2].As<Napi::Number>().Int64Value()] { return model->predict_memory(batch, height, width); },
      [](Napi::Env env, std::int64_t bytes) -> Napi::Value {
        return Napi::Number::New(env, static_cast<double>(bytes));
      });
}

Napi::Value ModelObject::plan_step(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [model = model_, batch = info[0].As<Napi::Number>().Int64Value(),
       height = info[1].As<Napi::Number>().Int64Value(),
       width = info[2].As<Napi::Number>().Int64Value()] { return model->plan_step(batch, height, width); },
      [](Napi::Env env, const std::vector<PartPlan>& parts) -> Napi::Value {
        const Napi::Array array = Napi::Array::New(env, parts.size());
        for (std::uint32_t index = 0; index < parts.size(); ++index) {
          const Napi::Object part = Napi::Object::New(env);
          part.Set("name", parts[index].name);
          part.Set("run", name_of(parts[index].run));
          part.Set("kept", static_cast<double>(parts[index].kept));
          array.Set(index, part);
        }
        return array;
      });
}

Napi::Value ModelObject::evaluate(const Napi::CallbackInfo& info) {
  return run_evaluation(info, worker_,
                        [model = model_](const DatasetPtr& dataset, std::int64_t batch_size,
                                         const EvaluationOptions& options, const std::function<bool()>& stop) {
                          return evaluate_dataset(*model, *dataset, batch_size, options, stop);
                        });
}

void ModelObject::release_with(const std::shared_ptr<Trainer>& trainer) {
  std::erase_if(trainers_, [](const std::weak_ptr<Trainer>& one) { return one.expired(); });
  trainers_.push_back(trainer);
}

Napi::Value ModelObject::dispose(const Napi::CallbackInfo& info) {
  account(info.Env(), 0);
  const auto release = [model = model_, trainers = std::exchange(trainers_, {})] {
    for (const std::weak_ptr<Trainer>& one : trainers) {
      if (const std::shared_ptr<Trainer> trainer = one.lock()) trainer->release();
    }
    model->release();
  };
  const Napi::Value promise = run_task(info.Env(), *worker_, JobKind::kExclusive, release, to_undefined);
  worker_->close();
  return promise;
}

}  // namespace densenet::binding
