#include "core/train/training_state.h"

#include "core/error.h"

namespace densenet {

const at::Tensor& entry_of(const TrainingState& state, const std::string& name, at::IntArrayRef shape) {
  const auto found = state.find(name);
  if (found != state.end() && found->second.sizes() == shape) return found->second;
  const std::string what = found == state.end() ? " is missing from it" : " has another shape in it";
  throw Error(code::kCheckpointMismatch, "the checkpoint does not fit this trainer: " + name + what +
                                             ". Make model and trainer with the options that it was saved with.");
}

}  // namespace densenet
