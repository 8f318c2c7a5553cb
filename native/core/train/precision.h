#pragma once

#include <ATen/core/ATen_fwd.h>
#include <c10/core/Device.h>

#include "core/train/options.h"

namespace densenet {

/// For as long as it lives, this thread's convolutions and products compute in half precision (libtorch's autocast);
/// nothing happens for float32. The modules run then, not the engine, which knows float32 alone.
class Autocast {
 public:
  Autocast(c10::Device device, Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
  Autocast(Autocast&&) = delete;
  Autocast& operator=(Autocast&&) = delete;

 private:
  c10::DeviceType device_;
  bool active_;
  bool before_ = false;
  at::ScalarType dtype_before_{};
};

/// For as long as it lives, libtorch uses no algorithm whose sums come in an order that is not fixed. The switches are
/// the process's: other models' calls have them too in that time, and the last of several to end puts them back.
class Deterministic {
 public:
  explicit Deterministic(bool wanted);
  ~Deterministic();
  Deterministic(const Deterministic&) = delete;
  Deterministic& operator=(const Deterministic&) = delete;
  Deterministic(Deterministic&&) = delete;
  Deterministic& operator=(Deterministic&&) = delete;

 private:
  bool active_;
};

}  // namespace densenet
