#include "core/runtime/worker.h"

#include <chrono>
#include <utility>

namespace densenet {

namespace {
constexpr std::chrono::milliseconds kIdle{500};
}  // namespace

Worker::Worker(std::function<void()> when_idle) : when_idle_(std::move(when_idle)), thread_([this] { loop(); }) {}

Worker::~Worker() {
  abandon();
  join();
}

bool Worker::post(JobKind kind, std::function<void()> job) {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return false;
    jobs_.push_back({.kind = kind, .run = std::move(job)});
  }
  wake_.notify_one();
  return true;
}

void Worker::run_pending_reads() {
  std::unique_lock lock(mutex_);
  while (!abandoned_ && !jobs_.empty() && jobs_.front().kind == JobKind::kRead) run_next(lock);
}

void Worker::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  wake_.notify_one();
}

void Worker::abandon() {
  std::deque<Job> dropped;  // destroyed after the lock is gone: a job may own much
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    abandoned_ = true;
    dropped.swap(jobs_);
  }
  wake_.notify_one();
}

bool Worker::abandoned() const {
  const std::scoped_lock lock(mutex_);
  return abandoned_;
}

bool Worker::finished() const {
  const std::scoped_lock lock(mutex_);
  return finished_;
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::wait_for_job(std::unique_lock<std::mutex>& lock) {
  const auto called = [this] { return closed_ || !jobs_.empty(); };
  if (when_idle_ && !wake_.wait_for(lock, kIdle, called)) {
    lock.unlock();
    when_idle_();
    lock.lock();
  }
  wake_.wait(lock, called);
}

void Worker::run_next(std::unique_lock<std::mutex>& lock) {
  {
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.run();
  }  // the job's captures, which may post in their turn, go before the lock is taken again
  lock.lock();
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wait_for_job(lock);
    if (jobs_.empty()) break;
    run_next(lock);
  }
  finished_ = true;
}

}  // namespace densenet
