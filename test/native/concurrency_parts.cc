#include "concurrency_parts.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/data/batches.h"
#include "core/data/prefetch.h"
#include "core/engine/buffer.h"
#include "core/train/precision.h"
#include "core/weights/safetensors_writer.h"
#include "core_calls.h"
#include "report.h"

namespace {

using densenet::JobKind;
using densenet::Worker;

/// Does something where it ends, as a job's captures may.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> work) : work_(std::move(work)) {}
  ~AtEnd() { work_(); }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  AtEnd(AtEnd&&) = delete;
  AtEnd& operator=(AtEnd&&) = delete;

 private:
  std::function<void()> work_;
};

/// Jobs of several threads run in each one's order, one at a time.
void check_order() {
  constexpr int kThreads = 4;
  constexpr int kJobs = 200;
  std::vector<std::vector<int>> seen(kThreads);  // by the worker alone
  int running = 0;
  bool alone = true;
  Worker worker;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int job = 0; job < kJobs; ++job) {
        worker.post(job % 2 == 0 ? JobKind::kExclusive : JobKind::kRead, [&, thread, job] {
          alone = alone && ++running == 1;
          seen[static_cast<std::size_t>(thread)].push_back(job);
          --running;
        });
      }
    });
  }
  for (std::thread& one : threads) one.join();
  worker.close();
  worker.join();
  const bool in_order = std::ranges::all_of(
      seen, [](const std::vector<int>& jobs) { return jobs.size() == kJobs && std::ranges::is_sorted(jobs); });
  report("a worker runs what several threads ask for, one at a time and in order", in_order && alone);
  report("a worker that was closed takes nothing", !worker.post(JobKind::kRead, [] {}) && worker.finished());
}

/// A long job lets readers in, and no one else; what they let go of may post in its turn.
void check_pauses() {
  constexpr int kReads = 3;
  std::string order;  // by the worker alone
  std::atomic<int> posted = 0;
  std::atomic<bool> over = false;
  Worker worker;
  worker.post(JobKind::kExclusive, [&] {
    while (!over) {
      worker.run_pending_reads();
      std::this_thread::yield();
    }
    worker.run_pending_reads();  // those that came in the meantime
    order += 'l';
  });
  for (int count = 0; count < kReads; ++count) {
    const auto at_end = std::make_shared<AtEnd>([&] {
      if (worker.post(JobKind::kRead, [&] { order += 'e'; })) ++posted;
    });
    worker.post(JobKind::kRead, [&order, at_end] { order += 'r'; });
  }
  while (posted < kReads) std::this_thread::yield();
  worker.post(JobKind::kExclusive, [&] { order += 'x'; });
  worker.post(JobKind::kRead, [&] { order += 'r'; });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  over = true;
  worker.close();
  worker.join();
  const std::string within = order.substr(0, 2 * kReads);
  report("the pauses of a long job are for readers alone, and what they let go of may post in its turn",
         std::ranges::count(within, 'r') == kReads && std::ranges::count(within, 'e') == kReads &&
             order.substr(2 * kReads) == "lxr");
}

/// An idle worker says so, and goes on.
void check_idle() {
  std::atomic<int> idle = 0;
  std::atomic<int> done = 0;
  Worker worker([&] { ++idle; });
  worker.post(JobKind::kRead, [&] { ++done; });
  for (int wait = 0; wait < 300 && idle == 0; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  worker.post(JobKind::kRead, [&] { ++done; });
  worker.close();
  worker.join();
  report("a worker that is idle says so and goes on", idle >= 1 && done == 2);
}

}  // namespace

void check_worker() {
  check_order();
  check_pauses();
  check_idle();
}

/// Large buffers of one thread that others let go of, after it has given its own back or ended.
void check_buffers() {
  constexpr std::int64_t kRows = 1 << 11U;
  constexpr std::int64_t kColumns = 1 << 10U;  // 8 MB of floats
  std::mutex mutex;
  std::vector<at::Tensor> handed;
  std::atomic<bool> sound = true;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 10; ++round) {
        const at::Tensor own = densenet::engine::make_buffer(kRows, kColumns, at::kFloat);
        auto* first = own.mutable_data_ptr<float>();
        first[0] = static_cast<float>(thread);
        at::Tensor other;
        {
          const std::scoped_lock lock(mutex);
          handed.push_back(own);
          if (handed.size() > 3) {
            other = handed.front();
            handed.erase(handed.begin());
          }
        }
        if (other.defined()) sound = sound && other.const_data_ptr<float>()[0] < 3.0F;
        if (round % 4 == 3) densenet::engine::release_buffers();
        sound = sound && first[0] == static_cast<float>(thread);
      }
    });
  }
  for (std::thread& one : threads) one.join();
  handed.clear();  // their threads have ended
  report("a thread's buffers may be let go of by others, and after its end", sound);
}

void check_switches() {
  const auto on = [] { return at::globalContext().deterministicAlgorithms(); };
  auto first = std::make_optional<densenet::Deterministic>(true);
  std::optional<densenet::Deterministic> second;
  std::thread([&] { second.emplace(true); }).join();
  first.reset();
  const bool held = on();
  second.reset();
  report("deterministic algorithms are on until the last of those who want them has ended", held && !on());
}

void check_prefetch() {
  const at::Tensor images = at::arange(40, at::kFloat).view({10, 1, 2, 2});
  const at::Tensor labels = at::arange(10, at::kInt);
  densenet::TensorBatches source(images, labels, 3, 1, c10::Device(c10::kCPU));
  bool same = true;
  for (int round = 0; round < 20; ++round) {
    densenet::Prefetcher ahead(source, c10::Device(c10::kCPU));
    ahead.start_epoch({});
    // Ends now in the middle, now with a batch on its way.
    for (int count = 0; count < round % 4; ++count) {
      const auto batch = ahead.next();
      same = same && batch && batch->labels[0].item<std::int64_t>() == 3 * count;
    }
  }
  report("batches come ahead of time, and may be left on their way", same);
}

/// Several writers of one file: whoever is last, it is whole.
void check_files() {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("densenet-file-" + std::to_string(::getpid()))).string();
  std::atomic<bool> whole = true;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      const std::map<std::string, at::Tensor> tensors{{"a", at::full({1000}, thread)}, {"b", at::arange(thread + 5)}};
      for (int round = 0; round < 5; ++round) {
        densenet::write_verified(path, "{}", tensors);
        whole = whole && densenet::is_verified(path);
      }
    });
  }
  for (std::thread& one : threads) one.join();
  report("a file that several write at once is whole at any time", whole);
  std::filesystem::remove(path);
}

/// Models of one seed that are made at once.
void check_creation() {
  const std::string expected = bytes_of(*small_model(7));
  std::vector<std::string> found(4);
  std::vector<std::thread> threads;
  for (std::string& one : found) threads.emplace_back([&one] { one = bytes_of(*small_model(7)); });
  for (std::thread& one : threads) one.join();
  report("models that are made at once have the weights of their seed",
         std::ranges::all_of(found, [&](const std::string& one) { return one == expected; }));
}
