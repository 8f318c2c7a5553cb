#pragma once

#include <napi.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "binding/environment.h"
#include "core/error.h"
#include "core/runtime/failure.h"
#include "core/runtime/worker.h"

namespace densenet::binding {

/// A JavaScript Error with the failure's message, and its code under a prefix that marks it as ours.
Napi::Value to_js_error(Napi::Env env, const Failure& failure);

/// The result of a piece of work, or why there is none.
template <class Result>
struct Outcome {
  std::optional<Result> result;
  std::optional<Failure> failure;
};

/// A result for work that gives none.
struct Done {};

template <class Work>
auto attempt(const Work& work) noexcept {
  using Returned = std::invoke_result_t<Work>;
  using Result = std::conditional_t<std::is_void_v<Returned>, Done, Returned>;
  Outcome<Result> outcome;
  try {
    if constexpr (std::is_void_v<Returned>) {
      work();
      outcome.result = Done{};
    } else {
      outcome.result = work();
    }
  } catch (...) {
    outcome.failure = describe_failure(std::current_exception());
  }
  return outcome;
}

/// The one way in which a call becomes a promise: `work()` runs on the worker's thread and never touches JavaScript;
/// `convert(env, result)` runs on the JavaScript thread and gives the value that the promise resolves to.
template <class Work, class Convert>
Napi::Value run_task(Napi::Env env, Worker& worker, JobKind kind, Work work, Convert convert) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  const std::shared_ptr<Channel> channel = Environment::of(env).channel();
  channel->hold();
  const bool taken = worker.post(kind, [work = std::move(work), convert = std::move(convert), deferred, channel] {
    const auto outcome = std::make_shared<decltype(attempt(work))>(attempt(work));
    channel->post([outcome, convert, deferred, channel](Napi::Env js) {
      channel->let_go();
      if (outcome->failure) {
        deferred.Reject(to_js_error(js, *outcome->failure));
        return;
      }
      try {
        deferred.Resolve(convert(js, *outcome->result));
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
      } catch (...) {  // such as no memory for the result
        deferred.Reject(to_js_error(js, describe_failure(std::current_exception())));
      }
    });
  });
  if (!taken) {
    channel->let_go();
    deferred.Reject(to_js_error(env, {.code = code::kDisposed, .message = "the model was disposed of."}));
  }
  return deferred.Promise();
}

/// For work that gives nothing.
inline Napi::Value to_undefined(Napi::Env env, const Done& /*done*/) { return env.Undefined(); }

/// Work on a model that can be ended: `{ result: Promise, stop() }`. `work(stop)` asks `stop` from time to time whether
/// it should, and says in its result that it did.
template <class Work, class Convert>
Napi::Value run_stoppable(Napi::Env env, const std::shared_ptr<Worker>& worker, Work work, Convert convert) {
  const auto stopped = std::make_shared<std::atomic<bool>>(false);
  const Napi::Object job = Napi::Object::New(env);
  job.Set("result", run_task(
                        env, *worker, JobKind::kExclusive,
                        [work = std::move(work), stopped, thread = worker.get()] {
                          return work([&] { return stopped->load() || thread->abandoned(); });
                        },
                        std::move(convert)));
  job.Set("stop", Napi::Function::New(env, [stopped](const Napi::CallbackInfo&) { *stopped = true; }));
  return job;
}

/// Runs work on the JavaScript thread itself, its failure thrown as a JavaScript Error.
template <class Work>
auto run_now(Napi::Env env, const Work& work) {
  auto outcome = attempt(work);
  if (outcome.failure) throw Napi::Error(env, to_js_error(env, *outcome.failure));
  return std::move(*outcome.result);
}

}  // namespace densenet::binding
