#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/train/training_state.h"

namespace densenet {

/// A folder of checkpoints that one run writes to. Files are named by their place, so that their order is that of
/// their names: `epoch-0003-step-0000120.safetensors` after 120 steps of the third epoch, `epoch-0003.safetensors` at
/// its end. `best.safetensors` is a copy of the best.
class CheckpointFolder {
 public:
  /// Makes the folder where it is missing, locks it against other runs (of this process too), and removes what a
  /// writer that was killed left unfinished. Throws ERR_LOCKED or ERR_FILE.
  explicit CheckpointFolder(std::string path);
  ~CheckpointFolder();
  CheckpointFolder(const CheckpointFolder&) = delete;
  CheckpointFolder& operator=(const CheckpointFolder&) = delete;
  CheckpointFolder(CheckpointFolder&&) = delete;
  CheckpointFolder& operator=(CheckpointFolder&&) = delete;

  /// The newest checkpoint that is there; empty when there is none.
  [[nodiscard]] std::string newest() const;

  /// Writes and verifies a checkpoint, and only then removes the oldest beyond `keep_last`, and those from after this
  /// place, which were not gone on from. Returns its path.
  /// @param step Steps into the epoch; 0 for its end.
  std::string save(const TrainingState& state, const std::string& metadata, std::int64_t epoch, std::int64_t step,
                   std::int64_t keep_last);

  void save_best(const TrainingState& state, const std::string& metadata) const;

 private:
  /// Where a checkpoint stands in its run; the end of an epoch comes after all its steps.
  struct Place {
    std::int64_t epoch;
    std::int64_t step;
    auto operator<=>(const Place&) const = default;
  };

  /// The checkpoints that are there, the oldest first.
  [[nodiscard]] std::vector<std::pair<Place, std::string>> list() const;
  void remove_unfinished() const;
  void prune(const Place& newest, std::int64_t keep_last) const;

  std::string path_;
  int lock_;
};

}  // namespace densenet
