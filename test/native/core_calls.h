#pragma once

/// The core as the binding uses it, without Node: a model on its worker, calls from other threads, a run that is
/// followed; and small models and data to do it with.

#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/runtime/failure.h"
#include "core/runtime/worker.h"
#include "core/train/trainer.h"

/// What a call on a worker comes to, for whoever waits for it on another thread.
template <class Result>
class Answer {
 public:
  template <class Work>
  void fill(const Work& work) {
    std::optional<Result> result;
    std::string failure;
    try {
      result.emplace(work());
    } catch (...) {
      failure = densenet::describe_failure(std::current_exception()).code;
    }
    const std::scoped_lock lock(mutex_);
    result_ = std::move(result);
    failure_ = std::move(failure);
    filled_ = true;
    arrived_.notify_all();
  }

  /// The result; nothing where the call failed.
  const std::optional<Result>& wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return filled_; });
    return result_;
  }

  /// The code with which it failed; empty where it did not.
  const std::string& failure() {
    wait();
    return failure_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  bool filled_ = false;
  std::optional<Result> result_;
  std::string failure_;
};

/// Posts work that gives a result; null where the worker takes nothing any more.
template <class Work>
auto call(densenet::Worker& worker, densenet::JobKind kind, Work work) {
  using Result = std::invoke_result_t<Work>;
  const auto answer = std::make_shared<Answer<Result>>();
  const bool taken = worker.post(kind, [answer, work = std::move(work)] { answer->fill(work); });
  return taken ? answer : nullptr;
}

/// Follows a run as the binding does: lets reading calls run in its pauses, and ends it when it is asked to.
class Follower final : public densenet::FitObserver {
 public:
  explicit Follower(densenet::Worker& worker) : worker_(worker) {}

  void on_step(const densenet::StepEvent& event) override {
    const std::scoped_lock lock(mutex_);
    losses_.push_back(event.loss);
    moved_.notify_all();
  }
  void on_epoch(const densenet::EpochEvent& /*event*/) override {}
  void on_checkpoint(const densenet::CheckpointEvent& /*event*/) override {}
  void on_early_stopping(const densenet::EarlyStoppingEvent& /*event*/) override {}
  void pause() override { worker_.run_pending_reads(); }
  [[nodiscard]] bool stop_requested() const override { return stopped() || worker_.abandoned(); }
  [[nodiscard]] bool abandoned() const override { return worker_.abandoned(); }

  void stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }

  void wait_for_steps(std::size_t count) {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return losses_.size() >= count; });
  }

  std::vector<double> losses() const {
    const std::scoped_lock lock(mutex_);
    return losses_;
  }

 private:
  [[nodiscard]] bool stopped() const {
    const std::scoped_lock lock(mutex_);
    return stopped_;
  }

  densenet::Worker& worker_;
  mutable std::mutex mutex_;
  std::condition_variable moved_;
  std::vector<double> losses_;
  bool stopped_ = false;
};

template <class Value, class Fill>
densenet::HostTensor make_tensor(densenet::DType dtype, std::vector<std::int64_t> shape, const Fill& fill) {
  std::int64_t count = 1;
  for (const std::int64_t length : shape) count *= length;
  densenet::HostTensor tensor{.dtype = dtype, .shape = std::move(shape), .data = {}, .bytes = 0};
  tensor.bytes = static_cast<std::size_t>(count) * sizeof(Value);
  tensor.data = std::make_shared_for_overwrite<std::byte[]>(tensor.bytes);
  for (std::int64_t place = 0; place < count; ++place) {
    const Value value = fill(place);
    std::memcpy(tensor.data.get() + (static_cast<std::size_t>(place) * sizeof(Value)), &value, sizeof(Value));
  }
  return tensor;
}

inline densenet::HostTensor small_images(std::int64_t count, std::int64_t size = 8, std::int64_t channels = 1) {
  return make_tensor<float>(densenet::DType::kFloat32, {count, channels, size, size}, [](std::int64_t place) {
    return static_cast<float>(std::sin(12.9898 * static_cast<double>(place)));
  });
}

inline densenet::HostTensor small_labels(std::int64_t count) {
  return make_tensor<std::int32_t>(densenet::DType::kInt32, {count},
                                   [](std::int64_t place) { return static_cast<std::int32_t>(place % 3); });
}

inline densenet::DatasetPtr small_data(std::int64_t count) {
  const auto data = std::make_shared<densenet::Dataset>();
  data->images = small_images(count);
  data->labels = small_labels(count);
  return data;
}

inline densenet::ModelConfig small_config() {
  densenet::ModelConfig config;
  config.growth_rate = 4;
  config.block_config = {2, 2};
  config.init_channels = 8;
  config.stem = densenet::Stem::kCifar;
  config.in_channels = 1;
  config.num_classes = 3;
  return config;
}

inline std::shared_ptr<densenet::Model> small_model(std::uint64_t seed = 1) {
  return std::make_shared<densenet::Model>(small_config(), "cpu", seed, densenet::RunOptions{});
}

inline densenet::TrainerOptions small_options(std::uint64_t seed = 1) {
  densenet::TrainerOptions options;
  options.optimizer.learning_rate = 0.05;
  options.optimizer.momentum = 0.9;
  options.seed = seed;
  return options;
}

inline densenet::FitPlan small_plan(std::int64_t epochs) {
  densenet::FitPlan plan;
  plan.epochs = epochs;
  plan.batch_size = 4;
  return plan;
}

/// All weights and buffers as one run of bytes.
inline std::string bytes_of(const densenet::Model& model) {
  std::string all;
  for (const densenet::NamedTensor& one : model.state()) {
    all += one.name;
    all.append(reinterpret_cast<const char*>(one.tensor.data.get()), one.tensor.bytes);
  }
  return all;
}

/// A model with its thread, as the binding keeps it.
struct Served {
  std::shared_ptr<densenet::Model> model;
  std::shared_ptr<densenet::Worker> worker;
  std::shared_ptr<densenet::Trainer> trainer;
  std::shared_ptr<Follower> follower;

  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  Served(Served&&) = delete;
  Served& operator=(Served&&) = delete;

  explicit Served(const densenet::TrainerOptions& options = small_options(), std::uint64_t seed = 1)
      : model(small_model(seed)),
        worker(std::make_shared<densenet::Worker>()),
        trainer(std::make_shared<densenet::Trainer>(model, options)),
        follower(std::make_shared<Follower>(*worker)) {}

  ~Served() {
    worker->abandon();
    worker->join();
  }

  /// A run as a job; true when it came to its end by itself.
  auto fit(densenet::DatasetPtr train, densenet::DatasetPtr validation, const densenet::FitPlan& plan) {
    return call(*worker, densenet::JobKind::kExclusive,
                [this, train = std::move(train), validation = std::move(validation), plan] {
                  return trainer->fit(train, validation, plan, *follower);
                });
  }

  template <class Work>
  auto read(Work work) {
    return call(*worker, densenet::JobKind::kRead, std::move(work));
  }

  auto bytes() {
    return read([model = model] { return bytes_of(*model); });
  }
};
