#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>

namespace densenet {

/// Everything that decides how training goes on, as named tensors: what a checkpoint holds. Each part of the trainer
/// adds its own under a prefix of its own, and takes it back from there.
using TrainingState = std::map<std::string, at::Tensor>;

/// The entry of that name. Throws ERR_CHECKPOINT_MISMATCH, naming it, where it is missing or of another shape.
const at::Tensor& entry_of(const TrainingState& state, const std::string& name, at::IntArrayRef shape);

/// The entries whose names begin with this.
TrainingState entries_below(const TrainingState& state, std::string_view prefix);

/// The same entries with tensors of their own, which no later step changes.
TrainingState copy_of(const TrainingState& state);

}  // namespace densenet
