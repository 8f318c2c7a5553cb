#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace densenet {

/// Whether a job may run in the pauses of a long one.
enum class JobKind : std::uint8_t {
  /// Waits until every job before it is done.
  kExclusive,
  /// Only reads the model, so it may also run between two steps of a training run.
  kRead,
};

/// A thread that runs jobs one after the other, in the order in which they were posted. Each model has one, so that
/// calls on one model queue and calls on two models run side by side.
class Worker {
 public:
  /// @param when_idle Called on the thread when it has had nothing to do for a while (half a second), once until its
  ///   next job. It must not throw.
  explicit Worker(std::function<void()> when_idle = {});
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  Worker(Worker&&) = delete;
  Worker& operator=(Worker&&) = delete;

  /// Queues a job, which must not throw. Returns false, and drops the job, after `close` or `abandon`.
  bool post(JobKind kind, std::function<void()> job);

  /// Runs the reading jobs at the head of the queue. Called on the worker's own thread by a long job in its pauses.
  void run_pending_reads();

  /// Takes no further jobs; those that are queued still run, then the thread ends.
  void close();

  /// Takes no further jobs, drops those that are queued, and asks the running one to stop (`abandoned`).
  void abandon();

  /// Whether a long job should end at once, since nobody will see its result.
  [[nodiscard]] bool abandoned() const;

  /// Whether the thread has left its loop, so that `join` does not wait.
  [[nodiscard]] bool finished() const;

  /// Waits for the thread to end. `close` or `abandon` comes first.
  void join();

 private:
  struct Job {
    JobKind kind;
    std::function<void()> run;
  };

  void loop();
  void wait_for_job(std::unique_lock<std::mutex>& lock);
  /// Takes the job at the head of the queue and runs it, without the lock.
  void run_next(std::unique_lock<std::mutex>& lock);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::function<void()> when_idle_;
  bool closed_ = false;
  bool abandoned_ = false;
  bool finished_ = false;
  std::thread thread_;  // last, so that it starts when all else is there
};

}  // namespace densenet
