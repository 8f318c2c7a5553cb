#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/model/network.h"
#include "core/train/options.h"
#include "core/train/training_state.h"

namespace densenet {

/// An average of a network's weights and buffers beside the network itself: exponential, one update a step, or plain,
/// one update an epoch. As torch.optim.swa_utils.AveragedModel: the first update takes the network as it is, and
/// integers (batch norm's counters) are taken over, never averaged.
class WeightAverage {
 public:
  explicit WeightAverage(AverageOptions options) : options_(options) {}

  [[nodiscard]] const AverageOptions& options() const { return options_; }

  /// Whether there is one that can be used. A plain average needs statistics of its own first, see `Use`.
  [[nodiscard]] bool ready() const { return count_ > 0 && fresh_; }
  [[nodiscard]] bool begun() const { return count_ > 0; }

  /// Takes the memory that the next update needs, so that the update cannot fail for want of it.
  void reserve(const NetworkImpl& network);

  /// Takes in the network as it is now.
  void update(const NetworkImpl& network);

  /// For as long as it lives the network has the average's weights and buffers, and then its own again; unless `keep`
  /// was called. The buffers as they are at the end become the average's.
  class Use {
   public:
    Use(WeightAverage& average, const NetworkImpl& network);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Use(Use&&) = delete;
    Use& operator=(Use&&) = delete;

    /// The network keeps what it has now.
    void keep() { kept_ = true; }

    /// Batch norm's statistics were taken of the average's own features.
    void statistics_taken();

   private:
    WeightAverage& average_;
    std::vector<StateEntry> entries_;
    std::vector<at::Tensor> own_;
    bool kept_ = false;
  };

  /// The average in the network's place, where there is one that can be used.
  [[nodiscard]] std::optional<Use> use(const NetworkImpl& network);

  /// Whether the network has the average's weights now.
  [[nodiscard]] bool in_use() const { return uses_ > 0; }

  void save_state(TrainingState& state) const;
  void load_state(const TrainingState& state, const NetworkImpl& network);

 private:
  AverageOptions options_;
  std::int64_t count_ = 0;
  int uses_ = 0;
  bool fresh_ = false;                // whether its statistics belong to its weights
  std::vector<StateEntry> entries_;   // its own tensors, in the order of the network's
  std::vector<StateEntry> reserved_;  // for the first update, or the first with a new classifier
};

}  // namespace densenet
