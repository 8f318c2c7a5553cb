#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/engine/geometry.h"
#include "core/engine/pack.h"
#include "core/engine/statistics.h"

/// Sums that go over all pixels are added up chunk by chunk, each in its own order, and then chunk after chunk: they
/// are the same for every number of threads.
namespace densenet::engine {

/// Sums of a batch norm's backward pass, and one pair of vectors a thread for the tile at hand.
template <class T>
class ChunkSums {
 public:
  ChunkSums(std::int64_t chunks, std::int64_t channels)
      : channels_(channels),
        length_(whole_panels(channels)),
        chunks_(static_cast<std::size_t>(chunks), NormSums(length_)),
        tile_(static_cast<std::size_t>(2 * length_ * at::get_num_threads())) {}

  [[nodiscard]] T* tile_g(std::int64_t slot) { return tile_.data() + (2 * slot * length_); }
  [[nodiscard]] T* tile_gx(std::int64_t slot) { return tile_g(slot) + length_; }

  void start_tile(std::int64_t slot, Range panels) {
    std::fill_n(tile_g(slot) + (panels.begin * kPanel), panels.size() * kPanel, T{0});
    std::fill_n(tile_gx(slot) + (panels.begin * kPanel), panels.size() * kPanel, T{0});
  }

  void end_tile(std::int64_t slot, std::int64_t chunk, Range panels) {
    chunks_[static_cast<std::size_t>(chunk)].add(tile_g(slot), tile_gx(slot),
                                                 {.begin = panels.begin * kPanel, .end = panels.end * kPanel});
  }

  [[nodiscard]] NormSums total() const {
    NormSums sums(length_);
    for (const NormSums& chunk : chunks_) sums.add(chunk, {.begin = 0, .end = channels_});
    return sums;
  }

 private:
  std::int64_t channels_;
  std::int64_t length_;
  std::vector<NormSums> chunks_;
  std::vector<T> tile_;
};

/// The chunks of a weight's gradient, or nothing where the weight does not learn.
template <class T>
class WeightChunks {
 public:
  WeightChunks(const at::Tensor& weight, std::int64_t chunks) : weight_(weight) {
    if (!weight.requires_grad()) return;
    size_ = weight_gradient_size(weight);
    memory_ = at::empty({chunks, size_}, weight.options().requires_grad(false));
  }

  [[nodiscard]] bool wanted() const { return memory_.defined(); }

  /// The sums of a chunk, null where they are not wanted.
  [[nodiscard]] T* chunk(std::int64_t index) const {
    return wanted() ? memory_.mutable_data_ptr<T>() + (index * size_) : nullptr;
  }

  /// Sets the sums of some panels to zero.
  void start(std::int64_t index, Range panels) const {
    if (!wanted()) return;
    const std::int64_t panel = weight_.size(0) * weight_.size(2) * weight_.size(3) * kPanel;
    std::fill_n(chunk(index) + (panels.begin * panel), panels.size() * panel, T{0});
  }

  [[nodiscard]] at::Tensor total() const { return wanted() ? sum_weight_gradient<T>(memory_, weight_) : at::Tensor(); }

 private:
  at::Tensor weight_;
  at::Tensor memory_;
  std::int64_t size_ = 0;
};

}  // namespace densenet::engine
