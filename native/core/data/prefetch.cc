#include "core/data/prefetch.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>
#include <utility>

namespace densenet {

Prefetcher::Prefetcher(BatchSource& source, c10::Device device) : source_(source), device_(device) {
  if (!device.is_cpu()) stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

Prefetcher::~Prefetcher() {
  wait();  // it reads the source, which may go next
  worker_.close();
  worker_.join();
}

void Prefetcher::wait() {
  if (coming_.valid()) coming_.wait();
}

void Prefetcher::start_epoch(const at::Tensor& order) {
  wait();
  coming_ = {};
  source_.start_epoch(order);
  position_ = 0;
}

void Prefetcher::skip() {
  if (coming_.valid()) {
    next();
  } else {
    source_.skip();
    position_ = source_.position();
  }
}

void Prefetcher::start_next() {
  const auto task = std::make_shared<std::packaged_task<Brought()>>([this] { return bring(); });
  coming_ = task->get_future();
  worker_.post(JobKind::kExclusive, [task] { (*task)(); });
}

Prefetcher::Brought Prefetcher::bring() const {
  std::optional<Batch> batch = source_.next();
  const std::int64_t position = source_.position();
  if (!batch || !stream_) return {.batch = std::move(batch), .position = position};
  const c10::StreamGuard on_stream(*stream_);
  for (at::Tensor* tensor : {&batch->images, &batch->labels}) {
    *tensor = tensor->pin_memory().to(device_, tensor->scalar_type(), /*non_blocking=*/true);
  }
  stream_->synchronize();  // this thread's time is free; the caller's next step is still running
  return {.batch = std::move(batch), .position = position};
}

std::optional<Batch> Prefetcher::next() {
  if (!coming_.valid()) start_next();
  auto [batch, position] = coming_.get();
  position_ = position;
  if (!batch) return batch;
  start_next();
  if (stream_) {
    // Allocated on the side stream: its memory must not go back there before the current stream is done with it.
    const c10::Stream current = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    batch->images.record_stream(current);
    batch->labels.record_stream(current);
  }
  return batch;
}

}  // namespace densenet
