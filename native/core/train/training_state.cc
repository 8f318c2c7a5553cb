#include "core/train/training_state.h"

#include <ATen/ATen.h>

#include "core/error.h"

namespace densenet {

const at::Tensor& entry_of(const TrainingState& state, const std::string& name, at::IntArrayRef shape) {
  const auto found = state.find(name);
  if (found != state.end() && found->second.sizes() == shape) return found->second;
  const std::string what = found == state.end() ? " is missing from it" : " has another shape in it";
  throw Error(code::kCheckpointMismatch, "the checkpoint does not fit this trainer: " + name + what +
                                             ". Make model and trainer with the options that it was saved with.");
}

TrainingState entries_below(const TrainingState& state, std::string_view prefix) {
  TrainingState found;
  for (auto entry = state.lower_bound(std::string(prefix)); entry != state.end() && entry->first.starts_with(prefix);
       ++entry) {
    found.insert(*entry);
  }
  return found;
}

TrainingState copy_of(const TrainingState& state) {
  TrainingState copies;
  for (const auto& [name, tensor] : state) copies.emplace(name, tensor.detach().clone());
  return copies;
}

}  // namespace densenet
