#pragma once

#include <napi.h>

#include <memory>

#include "binding/run_events.h"
#include "core/train/trainer.h"

namespace densenet::binding {

/// A trainer in JavaScript. Its calls run on the thread of its model.
class TrainerObject final : public Napi::ObjectWrap<TrainerObject> {
 public:
  static Napi::Function define(Napi::Env env);

  /// new NativeTrainer(model, options)
  explicit TrainerObject(const Napi::CallbackInfo& info);
  ~TrainerObject() override;
  TrainerObject(const TrainerObject&) = delete;
  TrainerObject& operator=(const TrainerObject&) = delete;
  TrainerObject(TrainerObject&&) = delete;
  TrainerObject& operator=(TrainerObject&&) = delete;

 private:
  Napi::Value step(const Napi::CallbackInfo& info);

  /// fit(train, validation, plan, listener): Promise<boolean>, false when `stop` ended it
  Napi::Value fit(const Napi::CallbackInfo& info);

  /// evaluate(dataset, batchSize, options): see run_evaluation
  Napi::Value evaluate(const Napi::CallbackInfo& info);

  /// findLearningRate(dataset, search): see run_stoppable; the result is of RateCurve's fields
  Napi::Value find_learning_rate(const Napi::CallbackInfo& info);

  /// save(path, metadata): Promise<void>
  Napi::Value save(const Napi::CallbackInfo& info);

  /// resume(path, entries): Promise<{ epoch, step }>, how far the checkpoint had come
  Napi::Value resume(const Napi::CallbackInfo& info);

  /// saveWeights(path, pieces): Promise<void>, of the averaged weights where there are any
  Napi::Value save_weights(const Napi::CallbackInfo& info);

  /// adoptAverage(): Promise<boolean>, false when there is none
  Napi::Value adopt_average(const Napi::CallbackInfo& info);

  /// Asks the running `fit` to end before its next step.
  void stop(const Napi::CallbackInfo& info);

  std::shared_ptr<Worker> worker_;
  std::shared_ptr<Trainer> trainer_;
  std::shared_ptr<RunEvents> run_;
};

}  // namespace densenet::binding
