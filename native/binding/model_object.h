#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/model/model.h"
#include "core/runtime/worker.h"
#include "core/train/trainer.h"

namespace densenet::binding {

/// A model in JavaScript: the core's model and the thread that all its calls run on.
class ModelObject final : public Napi::ObjectWrap<ModelObject> {
 public:
  static Napi::Function define(Napi::Env env);

  /// create(config, device, seed, options): Promise<NativeModel>
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit ModelObject(const Napi::CallbackInfo& info);
  ~ModelObject() override;
  ModelObject(const ModelObject&) = delete;
  ModelObject& operator=(const ModelObject&) = delete;
  ModelObject(ModelObject&&) = delete;
  ModelObject& operator=(ModelObject&&) = delete;

  [[nodiscard]] const std::shared_ptr<Model>& model() const { return model_; }
  [[nodiscard]] const std::shared_ptr<Worker>& worker() const { return worker_; }

  /// Has this trainer give its memory back with the model, whoever still holds it then.
  void release_with(const std::shared_ptr<Trainer>& trainer);

 private:
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value describe_state(const Napi::CallbackInfo& info);
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value features(const Napi::CallbackInfo& info);
  Napi::Value grad_cam(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value gradients(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value set_trainable(const Napi::CallbackInfo& info);
  Napi::Value replace_classifier(const Napi::CallbackInfo& info);
  Napi::Value estimate_memory(const Napi::CallbackInfo& info);
  Napi::Value plan_step(const Napi::CallbackInfo& info);

  /// evaluate(dataset, batchSize, options): see run_evaluation
  Napi::Value evaluate(const Napi::CallbackInfo& info);

  Napi::Value dispose(const Napi::CallbackInfo& info);

  /// Tells JavaScript's garbage collector how much native memory the object stands for.
  void account(Napi::Env env, std::int64_t bytes);

  std::shared_ptr<Model> model_;
  std::shared_ptr<Worker> worker_;
  std::vector<std::weak_ptr<Trainer>> trainers_;
  std::int64_t accounted_ = 0;
};

}  // namespace densenet::binding
