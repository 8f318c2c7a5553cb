/// Several threads on the core, as the binding has them, without Node: calls beside a run, its end from outside, models
/// side by side, streamed images. Prints one line of JSON a check; the exit code says whether all held.
/// test/native/concurrency.test.ts builds and runs it; `npm run check:sanitizers -- tsan` watches every access.

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "concurrency_parts.h"
#include "core/weights/safetensors_writer.h"
#include "core_calls.h"
#include "report.h"

namespace {

using densenet::DatasetPtr;
using densenet::JobKind;

constexpr std::int64_t kEndless = 1'000'000;

std::string place_for(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("densenet-" + std::to_string(::getpid()) + "-" + name)).string();
}

/// Runs work on several threads at once; `work(thread)`.
template <class Work>
void at_once(int threads, const Work& work) {
  std::vector<std::thread> all;
  all.reserve(static_cast<std::size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) all.emplace_back([&work, thread] { work(thread); });
  for (std::thread& one : all) one.join();
}

bool is_prediction(const densenet::TopClasses& top, std::int64_t images) {
  const auto sound = [](float value) { return value > 0.0F && value <= 1.0F; };
  return top.images == images && top.k == 2 && top.probability.size() == static_cast<std::size_t>(2 * images) &&
         std::ranges::all_of(top.probability, sound);
}

/// Predictions, states, checkpoints and metrics from other threads, while the model trains.
void check_calls_beside_a_run() {
  Served served;
  const auto run = served.fit(small_data(12), small_data(5), small_plan(kEndless));
  served.follower->wait_for_steps(1);
  const std::string file = place_for("beside");
  const std::size_t tensors = small_model()->describe_state().size();
  std::atomic<int> sound = 0;
  at_once(4, [&](int thread) {
    for (int round = 0; round < 5; ++round) {
      const auto top = served.read([&] { return served.model->predict(small_images(3), 2); });
      if (top->wait() && is_prediction(*top->wait(), 3)) ++sound;
      const auto state = served.read([&] { return served.model->state().size(); });
      if (state->wait() == tensors) ++sound;
      const std::string own = file + std::to_string(thread);
      const auto saved = served.read([&] {
        served.trainer->save(own, "{}");
        return true;
      });
      if (saved->wait() && densenet::is_verified(own)) ++sound;
      std::filesystem::remove(own);
    }
  });
  report("predictions, states and checkpoints come beside a run", sound == 60);

  const std::size_t before = served.follower->losses().size();
  const auto change = call(*served.worker, JobKind::kExclusive, [&] { return served.follower->losses().size(); });
  const auto behind = served.bytes();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  served.follower->stop();
  report("a run that is stopped says so", run->wait() == false);
  report("a change waits for the run's end, and what was asked after it for the change",
         change->wait() == served.follower->losses().size() && change->wait() > before && behind->wait());
}

/// Dispose is queued behind whatever was asked before, and nothing is taken after it.
void check_dispose() {
  Served served;
  const auto run = served.fit(small_data(12), nullptr, small_plan(kEndless));
  served.follower->wait_for_steps(2);
  std::vector<decltype(served.bytes())> asked;
  std::thread reader([&] {
    for (int count = 0; count < 20; ++count) asked.push_back(served.bytes());
  });
  reader.join();
  const auto gone = call(*served.worker, JobKind::kExclusive, [&] {
    served.model->release();
    return true;
  });
  const auto after = served.bytes();  // taken, since the worker is open, and refused by the model
  served.worker->close();
  const bool refused = served.bytes() == nullptr;
  served.follower->stop();
  const bool answered = std::ranges::all_of(asked, [](const auto& one) { return one->wait().has_value(); });
  report("dispose comes after what was asked before it", run->wait() == false && answered && gone->wait());
  report("a call after dispose is refused", refused && after->failure() == "ERR_DISPOSED");
  served.worker->join();
}

/// As when an environment ends: all workers are told to stop, from a thread that none of them knows, and joined.
void check_abandon() {
  std::vector<std::unique_ptr<Served>> all;
  for (int count = 0; count < 3; ++count) all.push_back(std::make_unique<Served>());
  for (const auto& one : all) one->fit(small_data(12), nullptr, small_plan(kEndless));
  for (const auto& one : all) one->follower->wait_for_steps(1);
  std::thread asking([&] {
    for (int count = 0; count < 50; ++count) all.front()->bytes();
  });
  for (const auto& one : all) one->worker->abandon();
  for (const auto& one : all) one->worker->join();
  asking.join();
  const bool ended = std::ranges::all_of(all, [](const auto& one) { return one->worker->finished(); });
  report("workers that are abandoned in the middle of a run end", ended);
}

/// Two models side by side end as each does alone.
void check_side_by_side() {
  const auto train = [](const densenet::TrainerOptions& options, std::uint64_t seed) {
    Served served(options, seed);
    const auto run = served.fit(small_data(14), small_data(5), small_plan(4));
    const auto bytes = served.bytes();
    return run->wait() == true ? *bytes->wait() : std::string();
  };
  densenet::TrainerOptions first = small_options(5);
  first.average.kind = densenet::AverageOptions::Kind::kExponential;
  first.deterministic = true;
  densenet::TrainerOptions second = small_options(6);
  second.optimizer.kind = densenet::OptimizerOptions::Kind::kAdamW;
  second.deterministic = true;
  const std::string alone_first = train(first, 1);
  const std::string alone_second = train(second, 2);
  std::vector<std::string> found(4);
  at_once(4, [&](int thread) {
    found[static_cast<std::size_t>(thread)] = thread % 2 == 0 ? train(first, 1) : train(second, 2);
  });
  const bool same = found[0] == alone_first && found[2] == alone_first && found[1] == alone_second &&
                    found[3] == alone_second && !alone_first.empty() && alone_first != alone_second;
  report("models that train side by side end as each does alone", same);
  report("libtorch's switches are as they were when the last deterministic run has ended",
         !at::globalContext().deterministicAlgorithms());
}

/// Brings a streamed data set's images, several threads at once and in no order.
class Reader {
 public:
  Reader(std::int64_t count, int threads) : images_(small_images(count)) {
    const auto data = std::make_shared<densenet::Dataset>();
    data->labels = small_labels(count);
    data->feed = std::make_shared<densenet::Feed>(std::vector<std::int64_t>{1, 8, 8}, densenet::DType::kFloat32);
    feed_ = data->feed;
    feed_->listen({.on_pass = [this](std::int64_t pass, const std::vector<std::int64_t>& order) { begin(pass, order); },
                   .on_taken = [this](std::int64_t pass, std::int64_t taken) { take(pass, taken); }});
    data_ = data;
    for (int thread = 0; thread < threads; ++thread) threads_.emplace_back([this] { read(); });
  }

  ~Reader() {
    {
      const std::scoped_lock lock(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
    for (std::thread& one : threads_) one.join();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  Reader(Reader&&) = delete;
  Reader& operator=(Reader&&) = delete;

  [[nodiscard]] const DatasetPtr& data() const { return data_; }

  /// From now on nothing comes any more.
  void withhold() {
    const std::scoped_lock lock(mutex_);
    withheld_ = true;
  }

 private:
  static constexpr std::int64_t kAhead = 9;

  void begin(std::int64_t pass, const std::vector<std::int64_t>& order) {
    {
      const std::scoped_lock lock(mutex_);
      pass_ = pass;
      order_ = order;
      next_ = 0;
      taken_ = 0;
    }
    wake_.notify_all();
  }

  void take(std::int64_t pass, std::int64_t taken) {
    {
      const std::scoped_lock lock(mutex_);
      if (pass == pass_) taken_ = taken;
    }
    wake_.notify_all();
  }

  void read() {
    std::unique_lock lock(mutex_);
    while (true) {
      const auto ready = [&] {
        return !withheld_ && next_ < std::min(static_cast<std::int64_t>(order_.size()), taken_ + kAhead);
      };
      wake_.wait(lock, [&] { return ended_ || ready(); });
      if (ended_) return;
      const std::int64_t pass = pass_;
      const std::int64_t place = next_++;
      const std::int64_t index = order_[static_cast<std::size_t>(place)];
      lock.unlock();
      if (place % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      const std::size_t bytes = feed_->image_bytes();
      feed_->put(pass, place, {images_.data.get() + (static_cast<std::size_t>(index) * bytes), bytes});
      feed_->put(pass - 1, place, {});  // what comes too late is of no account
      lock.lock();
    }
  }

  densenet::HostTensor images_;
  std::shared_ptr<densenet::Feed> feed_;
  DatasetPtr data_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::int64_t pass_ = 0;
  std::vector<std::int64_t> order_;
  std::int64_t next_ = 0;
  std::int64_t taken_ = 0;
  bool withheld_ = false;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

void check_feed() {
  const auto train = [](const DatasetPtr& data, const DatasetPtr& held) {
    Served served;
    const auto run = served.fit(data, held, small_plan(3));
    std::atomic<bool> over = false;
    std::thread reading([&] {
      while (!over) served.read([&] { return served.model->predict(small_images(2), 2).images; })->wait();
    });
    const bool completed = run->wait() == true;
    over = true;
    reading.join();
    return completed ? *served.bytes()->wait() : std::string();
  };
  const std::string expected = train(small_data(14), small_data(5));
  {
    const Reader images(14, 3);
    const Reader held(5, 2);
    report("a run on streamed images ends as one on images in memory",
           !expected.empty() && train(images.data(), held.data()) == expected);
  }
  Reader images(14, 3);
  Served served;
  const auto run = served.fit(images.data(), nullptr, small_plan(kEndless));
  served.follower->wait_for_steps(3);
  images.withhold();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto top = served.read([&] { return served.model->predict(small_images(2), 2); });
  report("a run that waits for images answers calls", top->wait() && is_prediction(*top->wait(), 2));
  served.follower->stop();
  report("a run that waits for images can be stopped", run->wait() == false);
}

/// One folder for two runs at once.
void check_folder() {
  const std::string folder = place_for("folder");
  densenet::FitPlan plan = small_plan(kEndless);
  plan.checkpoint = densenet::CheckpointPlan{.folder = folder,
                                             .every_epochs = 0,
                                             .every_steps = 1,
                                             .keep_last = 2,
                                             .best = densenet::CheckpointPlan::Best::kNone,
                                             .continues = false,
                                             .metadata = "{}"};
  Served first;
  Served second;
  const auto run = first.fit(small_data(12), nullptr, plan);
  first.follower->wait_for_steps(2);
  const auto refused = second.fit(small_data(12), nullptr, plan);
  const bool locked = refused->failure() == "ERR_LOCKED";
  first.follower->stop();
  report("a second run on one folder of checkpoints is refused", locked && run->wait() == false);
  std::size_t whole = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors" && densenet::is_verified(entry.path().string())) ++whole;
  }
  report("its checkpoints are whole", whole == 2, static_cast<double>(whole));
  std::filesystem::remove_all(folder);
}

}  // namespace

int main() {
  check_worker();
  check_buffers();
  check_switches();
  check_prefetch();
  check_files();
  check_creation();
  check_calls_beside_a_run();
  check_dispose();
  check_abandon();
  check_side_by_side();
  check_feed();
  check_folder();
  return all_held ? 0 : 1;
}
