#pragma once

#include <napi.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <variant>

#include "binding/environment.h"
#include "core/runtime/worker.h"
#include "core/train/trainer.h"

namespace densenet::binding {

/// Carries a run's events to a JavaScript function. Waking JavaScript costs more than many a step of a small network,
/// so steps that follow each other fast are handed over several at once, every few milliseconds. Of steps that
/// JavaScript had no time for only the newest are kept, so that a slow listener costs neither memory nor training time;
/// all else is never dropped.
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
  /// Hands over what is still held back: the run ends.
  void flush();

  // On the JavaScript thread:
  void stop() { stop_ = true; }
  void deliver(Napi::Env env);
  void release() { listener_.Reset(); }

 private:
  using Event = std::variant<StepEvent, EpochEvent, CheckpointEvent, EarlyStoppingEvent>;

  void push(const Event& event);
  void wake();

  Napi::FunctionReference listener_;
  std::shared_ptr<Channel> channel_;
  std::shared_ptr<Worker> worker_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::deque<Event> events_;
  std::size_t last_steps_ = 0;  ///< how many steps `events_` ends with
  bool posted_ = false;
  std::chrono::steady_clock::time_point woken_;
};

}  // namespace densenet::binding
