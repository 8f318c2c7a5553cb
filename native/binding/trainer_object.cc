#include "binding/trainer_object.h"

#include "binding/convert.h"
#include "binding/dataset_object.h"
#include "binding/metrics_object.h"
#include "binding/model_object.h"
#include "binding/task.h"

namespace densenet::binding {

namespace {

Napi::Value step_to_js(Napi::Env env, const StepResult& result) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("loss", result.loss);
  object.Set("correct", static_cast<double>(result.correct));
  object.Set("size", static_cast<double>(result.size));
  return object;
}

}  // namespace

Napi::Function TrainerObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativeTrainer",
      {InstanceMethod<&TrainerObject::step>("step"), InstanceMethod<&TrainerObject::fit>("fit"),
       InstanceMethod<&TrainerObject::evaluate>("evaluate"),
       InstanceMethod<&TrainerObject::find_learning_rate>("findLearningRate"),
       InstanceMethod<&TrainerObject::save>("save"), InstanceMethod<&TrainerObject::resume>("resume"),
       InstanceMethod<&TrainerObject::save_weights>("saveWeights"),
       InstanceMethod<&TrainerObject::adopt_average>("adoptAverage"), InstanceMethod<&TrainerObject::stop>("stop")});
}

TrainerObject::TrainerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TrainerObject>(info) {
  ModelObject& model = *Napi::ObjectWrap<ModelObject>::Unwrap(info[0].As<Napi::Object>());
  const TrainerOptions options = to_trainer_options(info[1].As<Napi::Object>());
  worker_ = model.worker();
  trainer_ = run_now(info.Env(), [&] { return std::make_shared<Trainer>(model.model(), options); });
  model.release_with(trainer_);
}

TrainerObject::~TrainerObject() {
  if (!trainer_) return;
  // Not here, on JavaScript's thread: the memory of a device takes long to give back.
  try {
    worker_->post(JobKind::kExclusive, [trainer = std::move(trainer_)] {});
  } catch (const std::exception&) {
    trainer_.reset();  // no memory for the job: then here after all
  }
}

Napi::Value TrainerObject::step(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kExclusive,
      [trainer = trainer_, images = to_host_tensor(info[0]), labels = to_host_tensor(info[1])] {
        return trainer->step(images, labels);
      },
      step_to_js);
}

Napi::Value TrainerObject::fit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  run_ = std::make_shared<RunEvents>(info[3].As<Napi::Function>(), Environment::of(env).channel(), worker_);
  return run_task(
      env, *worker_, JobKind::kExclusive,
      [trainer = trainer_, train = dataset_of(info[0]), validation = dataset_of(info[1]),
       plan = to_fit_plan(info[2].As<Napi::Object>()), run = run_] {
        try {
          return trainer->fit(train, validation, plan, *run);
        } catch (...) {
          run->flush();  // the steps before the one that failed
          throw;
        }
      },
      [run = run_](Napi::Env js, bool completed) -> Napi::Value {
        run->deliver(js);  // whatever is left comes before the promise settles
        run->release();
        return Napi::Boolean::New(js, completed);
      });
}

Napi::Value TrainerObject::evaluate(const Napi::CallbackInfo& info) {
  return run_evaluation(info, worker_,
                        [trainer = trainer_](const DatasetPtr& dataset, std::int64_t batch_size,
                                             const EvaluationOptions& options, const std::function<bool()>& stop) {
                          return trainer->evaluate(dataset, batch_size, options, stop);
                        });
}

Napi::Value TrainerObject::find_learning_rate(const Napi::CallbackInfo& info) {
  return run_stoppable(
      info.Env(), worker_,
      [trainer = trainer_, dataset = dataset_of(info[0]), search = to_rate_search(info[1].As<Napi::Object>())](
          const std::function<bool()>& stop) { return trainer->find_learning_rate(dataset, search, stop); },
      [](Napi::Env js, const std::optional<RateCurve>& curve) -> Napi::Value {
        if (!curve) return js.Undefined();
        const Napi::Object object = Napi::Object::New(js);
        object.Set("rates", to_js(js, curve->rates));
        object.Set("losses", to_js(js, curve->losses));
        object.Set("smoothed", to_js(js, curve->smoothed));
        object.Set("suggestion", curve->suggestion);
        return object;
      });
}

Napi::Value TrainerObject::save(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [trainer = trainer_, path = info[0].As<Napi::String>().Utf8Value(),
       metadata = info[1].As<Napi::String>().Utf8Value()] { trainer->save(path, metadata); },
      to_undefined);
}

Napi::Value TrainerObject::resume(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kExclusive,
      [trainer = trainer_, path = info[0].As<Napi::String>().Utf8Value(),
       entries = to_tensor_entries(info[1].As<Napi::Array>())] { return trainer->resume(path, entries); },
      [](Napi::Env js, const Progress& progress) -> Napi::Value {
        const Napi::Object object = Napi::Object::New(js);
        object.Set("epoch", static_cast<double>(progress.epoch));
        object.Set("step", static_cast<double>(progress.steps));
        return object;
      });
}

Napi::Value TrainerObject::save_weights(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kRead,
      [trainer = trainer_, path = info[0].As<Napi::String>().Utf8Value(),
       pieces = to_file_pieces(info[1].As<Napi::Array>())] { trainer->save_weights(path, pieces); },
      to_undefined);
}

Napi::Value TrainerObject::adopt_average(const Napi::CallbackInfo& info) {
  return run_task(
      info.Env(), *worker_, JobKind::kExclusive, [trainer = trainer_] { return trainer->adopt_average(); },
      [](Napi::Env js, bool adopted) -> Napi::Value { return Napi::Boolean::New(js, adopted); });
}

void TrainerObject::stop(const Napi::CallbackInfo& /*info*/) {
  if (run_) run_->stop();
}

}  // namespace densenet::binding
