#include "binding/environment.h"

#include <algorithm>
#include <utility>

#include "core/engine/buffer.h"

namespace densenet::binding {

Channel::Channel(napi_env env) : env_(env) {
  const Napi::String name = Napi::String::New(env, "libtorch-densenet");
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, /*max_queue_size=*/0,
                                      /*initial_thread_count=*/1, nullptr, nullptr, this, &Channel::call, &wake_);
  if (status != napi_ok) throw Napi::Error::New(env, "cannot create the channel to JavaScript");
  napi_unref_threadsafe_function(env, wake_);  // an idle addon does not keep the process alive
}

void Channel::post(Closure closure) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  queue_.push_back(std::move(closure));
  // One wake-up drains the whole queue, so only the first in it needs to ask for one.
  if (queue_.size() == 1) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void Channel::hold() {
  if (holders_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Channel::let_go() {
  if (--holders_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

void Channel::close() {
  std::deque<Closure> dropped;
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  dropped.swap(queue_);
}

void Channel::call(napi_env env, napi_value /*function*/, void* context, void* /*data*/) {
  if (env != nullptr) static_cast<Channel*>(context)->drain(env);
}

void Channel::drain(napi_env env) {
  std::deque<Closure> ready;
  {
    const std::scoped_lock lock(mutex_);
    ready.swap(queue_);
  }
  for (const Closure& closure : ready) {
    const Napi::HandleScope scope(env);
    try {
      closure(env);
    } catch (const Napi::Error& error) {
      // A fault of ours, reported as an uncaught exception. Where JavaScript is ending (a worker was terminated) there
      // is no value and nobody to tell, and the call does nothing.
      napi_fatal_exception(env, error.Value());
    }
  }
}

Environment::Environment(napi_env env) : channel_(std::make_shared<Channel>(env)) {
  // Registered after the channel's own clean-up, so it runs before it: threads are joined while they may still post.
  napi_add_env_cleanup_hook(env, [](void* environment) { static_cast<Environment*>(environment)->shut_down(); }, this);
}

Environment& Environment::of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

std::shared_ptr<Worker> Environment::start_worker() {
  reap();
  workers_.push_back(std::make_shared<Worker>(engine::release_buffers));
  return workers_.back();
}

Worker& Environment::general_worker() {
  if (!general_) general_ = start_worker();
  return *general_;
}

void Environment::shut_down() {
  for (const auto& worker : workers_) worker->abandon();  // all first, so that they end side by side
  for (const auto& worker : workers_) worker->join();
  channel_->close();
}

void Environment::reap() {
  std::erase_if(workers_, [](const std::shared_ptr<Worker>& worker) {
    if (!worker->finished()) return false;
    worker->join();
    return true;
  });
}

}  // namespace densenet::binding
