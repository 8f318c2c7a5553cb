#pragma once

#include <napi.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/runtime/worker.h"

namespace densenet::binding {

/// The way from native threads to the JavaScript thread of one environment. Closures that are posted run there in
/// order; after the environment has begun to end they are dropped.
class Channel {
 public:
  using Closure = std::function<void(Napi::Env)>;

  explicit Channel(napi_env env);

  /// Runs a closure on the JavaScript thread, soon. From any thread.
  void post(Closure closure);

  /// Keeps the process alive while anything is awaited. On the JavaScript thread.
  void hold();
  void let_go();

  /// Drops what is queued and takes nothing more. On the JavaScript thread, when no native thread runs any longer.
  void close();

 private:
  static void call(napi_env env, napi_value function, void* context, void* data);
  void drain(napi_env env);

  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
  std::mutex mutex_;
  std::deque<Closure> queue_;
  bool closed_ = false;
  int holders_ = 0;  // JavaScript thread only
};

/// Everything that belongs to one JavaScript environment (the main thread, or a worker thread). It ends with it: every
/// native thread is told to stop and joined before the environment goes.
class Environment {
 public:
  explicit Environment(napi_env env);
  ~Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  Environment(Environment&&) = delete;
  Environment& operator=(Environment&&) = delete;

  static Environment& of(Napi::Env env);

  /// A thread for a model, joined when the environment ends at the latest.
  std::shared_ptr<Worker> start_worker();

  /// The thread for calls that belong to no model.
  Worker& general_worker();

  [[nodiscard]] const std::shared_ptr<Channel>& channel() const { return channel_; }

  /// Stops and joins every thread; nothing is answered any more. Safe to call twice.
  void shut_down();

  Napi::FunctionReference model_class;

 private:
  void reap();

  std::shared_ptr<Channel> channel_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::shared_ptr<Worker> general_;
};

}  // namespace densenet::binding
