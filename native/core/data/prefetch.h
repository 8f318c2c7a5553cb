#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <future>
#include <optional>

#include "core/data/batches.h"
#include "core/runtime/worker.h"

namespace densenet {

/// Takes batches from a source in ordinary memory, and has the next one on its way to the device while the caller works
/// on the last: gathered on a thread of its own, copied from page-locked memory, where the source leaves it there, on a
/// stream of its own. The order is the source's. Only the prefetcher may use the source while an epoch runs.
class Prefetcher final : public BatchSource {
 public:
  Prefetcher(BatchSource& source, c10::Device device);
  ~Prefetcher() override;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  Prefetcher(Prefetcher&&) = delete;
  Prefetcher& operator=(Prefetcher&&) = delete;

  [[nodiscard]] std::int64_t size() const override { return source_.size(); }

  void start_epoch(const at::Tensor& order) override;

  /// The batch that is on its way, or the epoch's first; starts the one after it. Throws what the source threw.
  std::optional<Batch> next() override;

  void skip() override;

  [[nodiscard]] std::int64_t position() const override { return position_; }
  [[nodiscard]] std::int64_t steps() const override { return source_.steps(); }

 private:
  /// A batch, and where the source is behind it.
  struct Brought {
    std::optional<Batch> batch;
    std::int64_t position = 0;
  };

  void start_next();
  void wait();
  [[nodiscard]] Brought bring() const;

  BatchSource& source_;
  c10::Device device_;
  std::optional<c10::Stream> stream_;  // of the copies; none on the CPU
  std::future<Brought> coming_;
  std::int64_t position_ = 0;
  Worker worker_;  // one for the whole run: with each thread comes a team of libtorch's own
};

}  // namespace densenet
