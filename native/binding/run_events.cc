#include "binding/run_events.h"

#include <utility>

#include "binding/convert.h"

namespace densenet::binding {

namespace {

/// How long a step may be held back after JavaScript was woken.
constexpr std::chrono::milliseconds kBetweenSteps{8};

/// Steps that are kept while JavaScript has no time.
constexpr std::size_t kMostSteps = 64;

Napi::Object event_to_js(Napi::Env env, const StepEvent& event) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("type", "step");
  object.Set("epoch", static_cast<double>(event.epoch));
  object.Set("step", static_cast<double>(event.step));
  object.Set("steps", static_cast<double>(event.steps));
  object.Set("loss", event.loss);
  object.Set("learningRate", event.learning_rate);
  object.Set("imagesPerSecond", event.images_per_second);
  return object;
}

Napi::Object event_to_js(Napi::Env env, const EpochEvent& event) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("type", "epoch");
  object.Set("epoch", static_cast<double>(event.epoch));
  object.Set("train", to_js(env, event.train));
  if (event.validation) object.Set("validation", to_js(env, *event.validation));
  object.Set("seconds", event.seconds);
  return object;
}

Napi::Object event_to_js(Napi::Env env, const CheckpointEvent& event) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("type", "checkpoint");
  object.Set("path", event.path);
  object.Set("epoch", static_cast<double>(event.epoch));
  object.Set("best", event.best);
  return object;
}

Napi::Object event_to_js(Napi::Env env, const EarlyStoppingEvent& event) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("type", "earlyStopping");
  object.Set("epoch", static_cast<double>(event.epoch));
  object.Set("bestEpoch", static_cast<double>(event.best_epoch));
  object.Set("value", event.value);
  object.Set("stopped", event.stopped);
  object.Set("restored", event.restored);
  return object;
}

}  // namespace

RunEvents::RunEvents(const Napi::Function& listener, std::shared_ptr<Channel> channel, std::shared_ptr<Worker> worker)
    : listener_(Napi::Persistent(listener)), channel_(std::move(channel)), worker_(std::move(worker)) {
  // The last owner may be a native thread, which must not touch JavaScript; `release` lets go in time.
  listener_.SuppressDestruct();
}

void RunEvents::push(const Event& event) {
  const std::scoped_lock lock(mutex_);
  const bool is_step = std::holds_alternative<StepEvent>(event);
  if (!is_step) {
    last_steps_ = 0;
  } else if (last_steps_ < kMostSteps) {
    ++last_steps_;
  } else {
    events_.erase(events_.end() - static_cast<std::ptrdiff_t>(last_steps_));
  }
  events_.push_back(event);
  if (!is_step || std::chrono::steady_clock::now() - woken_ >= kBetweenSteps) wake();
}

void RunEvents::flush() {
  const std::scoped_lock lock(mutex_);
  if (!events_.empty()) wake();
}

void RunEvents::wake() {
  if (std::exchange(posted_, true)) return;
  woken_ = std::chrono::steady_clock::now();
  channel_->post([self = shared_from_this()](Napi::Env env) { self->deliver(env); });
}

void RunEvents::on_step(const StepEvent& event) { push(event); }

void RunEvents::on_epoch(const EpochEvent& event) { push(event); }

void RunEvents::on_checkpoint(const CheckpointEvent& event) { push(event); }

void RunEvents::on_early_stopping(const EarlyStoppingEvent& event) { push(event); }

void RunEvents::pause() { worker_->run_pending_reads(); }

bool RunEvents::stop_requested() const { return stop_ || worker_->abandoned(); }

bool RunEvents::abandoned() const { return worker_->abandoned(); }

void RunEvents::deliver(Napi::Env env) {
  std::deque<Event> events;
  {
    const std::scoped_lock lock(mutex_);
    events.swap(events_);
    last_steps_ = 0;
    posted_ = false;
  }
  if (listener_.IsEmpty()) return;
  for (const Event& event : events) {
    const Napi::Object object = std::visit([&](const auto& known) { return event_to_js(env, known); }, event);
    listener_.Call({object});
  }
}

}  // namespace densenet::binding
