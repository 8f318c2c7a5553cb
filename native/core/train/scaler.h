#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/train/training_state.h"

namespace densenet {

/// Keeps the gradients of a half-precision pass in its range: the loss is multiplied by a scale before the backward
/// pass and the gradients divided by it after, which halves when they overflow and doubles when they have not for long.
/// As torch.amp.GradScaler, with its constants.
class GradientScaler {
 public:
  [[nodiscard]] double scale() const { return scale_; }

  /// Divides the gradients by the scale. False where one of them is not finite: the step is not to be taken then.
  [[nodiscard]] bool unscale(const std::vector<at::Tensor>& gradients) const;

  /// Moves the scale on after a step that was taken, or was not.
  void update(bool taken);

  /// Whether the scale has become so small that it is not the scale which makes the gradients overflow.
  [[nodiscard]] bool exhausted() const;

  void save_state(TrainingState& state) const;
  void load_state(const TrainingState& state);

 private:
  double scale_ = 65536.0;
  std::int64_t taken_ = 0;  // since the scale last moved
};

}  // namespace densenet
