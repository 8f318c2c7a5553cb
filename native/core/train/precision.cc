#include "core/train/precision.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <mutex>

namespace densenet {

namespace {

/// libtorch's switches as they were before the first of those who live now, and how many they are.
struct Switches {
  std::mutex mutex;
  int holders = 0;
  bool algorithms = false;
  bool warn_only = false;
  bool cudnn = false;
  bool benchmark = false;
  bool fill = false;
};

Switches& switches() {
  static Switches one;
  return one;
}

}  // namespace

Autocast::Autocast(c10::Device device, Precision precision)
    : device_(device.type()), active_(precision != Precision::kFloat32) {
  if (!active_) return;
  before_ = at::autocast::is_autocast_enabled(device_);
  dtype_before_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, precision == Precision::kBFloat16 ? at::kBFloat16 : at::kHalf);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();  // weights in half precision
  at::autocast::set_autocast_enabled(device_, before_);
  at::autocast::set_autocast_dtype(device_, dtype_before_);
}

Deterministic::Deterministic(bool wanted) : active_(wanted) {
  if (!active_) return;
  Switches& before = switches();
  const std::scoped_lock lock(before.mutex);
  if (before.holders++ > 0) return;
  at::Context& context = at::globalContext();
  before.algorithms = context.deterministicAlgorithms();
  before.warn_only = context.deterministicAlgorithmsWarnOnly();
  before.cudnn = context.deterministicCuDNN();
  before.benchmark = context.benchmarkCuDNN();
  before.fill = context.deterministicFillUninitializedMemory();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // nothing here reads memory that it has not written
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
}

Deterministic::~Deterministic() {
  if (!active_) return;
  Switches& before = switches();
  const std::scoped_lock lock(before.mutex);
  if (--before.holders > 0) return;
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(before.algorithms, before.warn_only);
  context.setDeterministicFillUninitializedMemory(before.fill);
  context.setDeterministicCuDNN(before.cudnn);
  context.setBenchmarkCuDNN(before.benchmark);
}

}  // namespace densenet
