/// Trains without JavaScript: the same core, the same steps. `train_loop GROWTH LAYERS BATCH SIZE IMAGES` makes a
/// network of two blocks and says "ready"; then, for each line on its input, it runs that many epochs and prints the
/// seconds that they took. scripts/bench/overhead.js compares it with Trainer.fit.

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <span>
#include <vector>

#include "core/train/trainer.h"

namespace {

using densenet::DType;
using densenet::HostTensor;

class Silent final : public densenet::FitObserver {
 public:
  void on_step(const densenet::StepEvent& /*event*/) override {}
  void on_epoch(const densenet::EpochEvent& /*event*/) override {}
  void on_checkpoint(const densenet::CheckpointEvent& /*event*/) override {}
  void on_early_stopping(const densenet::EarlyStoppingEvent& /*event*/) override {}
  void pause() override {}
  [[nodiscard]] bool abandoned() const override { return false; }
  [[nodiscard]] bool stop_requested() const override { return false; }
};

template <class Value, class Fill>
HostTensor make_tensor(DType dtype, std::vector<std::int64_t> shape, const Fill& fill) {
  std::int64_t count = 1;
  for (const std::int64_t length : shape) count *= length;
  HostTensor tensor{.dtype = dtype, .shape = std::move(shape), .data = {}, .bytes = 0};
  tensor.bytes = static_cast<std::size_t>(count) * sizeof(Value);
  tensor.data = std::make_shared_for_overwrite<std::byte[]>(tensor.bytes);  // NOLINT(modernize-avoid-c-arrays)
  for (std::int64_t place = 0; place < count; ++place) {
    const Value value = fill(place);
    std::memcpy(tensor.data.get() + (static_cast<std::size_t>(place) * sizeof(Value)), &value, sizeof(Value));
  }
  return tensor;
}

}  // namespace

int main(int count, char** arguments) {
  const std::span<char*> given(arguments, static_cast<std::size_t>(count));
  if (given.size() != 6) return 2;
  const auto number = [&](std::size_t place) { return std::strtoll(given[place], nullptr, 10); };
  densenet::ModelConfig config;
  config.growth_rate = number(1);
  config.block_config = {number(2), number(2)};
  config.init_channels = 2 * config.growth_rate;
  config.stem = densenet::Stem::kCifar;
  config.in_channels = 1;
  config.num_classes = 10;
  const std::int64_t size = number(4);
  const std::int64_t images = number(5);
  const auto dataset = std::make_shared<densenet::Dataset>();
  dataset->images = make_tensor<float>(DType::kFloat32, {images, 1, size, size}, [](std::int64_t place) {
    return static_cast<float>(std::sin(static_cast<double>(place)));
  });
  dataset->labels = make_tensor<std::int32_t>(DType::kInt32, {images},
                                              [](std::int64_t place) { return static_cast<std::int32_t>(place % 10); });
  densenet::TrainerOptions options;
  options.optimizer.momentum = 0.9;
  options.optimizer.learning_rate = 0.01;
  options.seed = 1;
  const auto model = std::make_shared<densenet::Model>(config, "cpu", 1, densenet::RunOptions{});
  densenet::Trainer trainer(model, options);
  densenet::FitPlan plan;
  plan.batch_size = number(3);
  Silent observer;
  std::cout << "ready" << std::endl;  // flushed: whoever reads waits for it
  while (std::cin >> plan.epochs) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t computed = std::clock();  // by all threads
    trainer.fit(dataset, nullptr, plan, observer);
    const double cpu = static_cast<double>(std::clock() - computed) / CLOCKS_PER_SEC;
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() << ' ' << cpu
              << std::endl;
  }
  return 0;
}
