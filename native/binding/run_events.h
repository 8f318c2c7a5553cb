#pragma once

#include <napi.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <variant>

#include "binding/environment.h"
#include "core/runtime/worker.h"
#include "core/train/trainer.h"

namespace densenet::binding {

/// Carries a run's events to a JavaScript function. Steps that JavaScript had no time for give way to the newest, so
/// that a slow listener costs neither memory nor training time; all else is never dropped.
class RunEvents final : public FitObserver, public std::enable_shared_from_this<RunEvents> {
 public:
  RunEvents(const Napi::Function& listener, std::shared_ptr<Channel> channel, std::shared_ptr<Worker> worker);

  // On the thread that trains:
  void on_step(const StepEvent& event) override;
  void on_epoch(const EpochEvent& event) override;
  void on_checkpoint(const CheckpointEvent& event) override;
  void on_early_stopping(const EarlyStoppingEvent& event) override;
  void pause() override;
  [[nodiscard]] bool stop_requested() const override;
  [[nodiscard]] bool abandoned() const override;

  // On the JavaScript thread:
  void stop() { stop_ = true; }
  void deliver(Napi::Env env);
  void release() { listener_.Reset(); }

 private:
  using Event = std::variant<StepEvent, EpochEvent, CheckpointEvent, EarlyStoppingEvent>;

  void push(const Event& event);

  Napi::FunctionReference listener_;
  std::shared_ptr<Channel> channel_;
  std::shared_ptr<Worker> worker_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::deque<Event> events_;
  bool posted_ = false;
};

}  // namespace densenet::binding
