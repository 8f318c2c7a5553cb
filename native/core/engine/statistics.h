#pragma once

#include <cstdint>
#include <vector>

#include "core/engine/cpu/kernels.h"
#include "core/engine/geometry.h"
#include "core/engine/parts.h"

namespace densenet::engine {

/// The batch's mean and 1/√(σ²+ε) of channels, as a batch norm in training takes them. One of these serves every batch
/// norm that reads the channels (a channel's statistics do not depend on who reads it).
struct ChannelStatistics {
  std::vector<double> mean;
  std::vector<double> variance;  ///< biased

  ChannelStatistics() = default;
  explicit ChannelStatistics(std::int64_t channels)
      : mean(static_cast<std::size_t>(channels)), variance(static_cast<std::size_t>(channels)) {}
};

/// Means and squared deviations of a matrix's tiles, and their merger into those of the whole. Merging, unlike
/// E[x²] − E[x]², keeps the digits of a variance that is small beside the mean.
template <class T>
class TileStatistics {
 public:
  TileStatistics(std::int64_t tiles, std::int64_t channels)
      : channels_(whole_panels(channels)),
        rows_(static_cast<std::size_t>(tiles)),
        values_(static_cast<std::size_t>(2 * tiles * channels_)) {}

  /// Takes in some channels of a tile: whole panels from `first` on.
  void measure(std::int64_t tile, const T* x, std::int64_t ldx, std::int64_t rows, std::int64_t first,
               std::int64_t channels) {
    T* mean = values_.data() + (2 * tile * channels_) + first;
    if (first == 0) rows_[static_cast<std::size_t>(tile)] = static_cast<double>(rows);
    kernels<T>().statistics(x, ldx, rows, channels, mean, mean + channels_);
  }

  /// Writes channels [offset, offset + channels) of `into`.
  void merge(ChannelStatistics& into, std::int64_t offset, std::int64_t channels) const;

 private:
  std::int64_t channels_;
  std::vector<double> rows_;
  std::vector<T> values_;  // tile by tile: means, squared deviations
};

/// A batch norm's vectors as kernels take them, padded with zeros to `length` values.
template <class T>
class NormVectors {
 public:
  NormVectors(const NormParts& norm, const ChannelStatistics& statistics, std::int64_t length);

  [[nodiscard]] Affine<T> view() const {
    return {.scale = scale_.data(), .shift = shift_.data(), .mean = mean_.data()};
  }

 private:
  std::vector<T> scale_;
  std::vector<T> shift_;
  std::vector<T> mean_;
};

/// The statistics that a batch norm uses in evaluation.
ChannelStatistics running_statistics(const NormParts& norm);

/// Moves a batch norm's running statistics towards the batch's, the variance taken unbiased, and counts the batch.
void update_running(const NormParts& norm, const ChannelStatistics& statistics, std::int64_t rows);

/// The sums of a batch norm's backward pass.
struct NormSums {
  std::vector<double> g;   ///< Σ g: the gradient of β
  std::vector<double> gx;  ///< Σ g·(x − mean)

  NormSums() = default;
  explicit NormSums(std::int64_t length) : g(static_cast<std::size_t>(length)), gx(static_cast<std::size_t>(length)) {}

  /// Adds what a tile of some channels gave.
  template <class T>
  void add(const T* tile_g, const T* tile_gx, Range channels);

  void add(const NormSums& other, Range channels);
};

/// The terms that a batch norm's backward pass subtracts from a gradient because the mean and the variance depend on
/// the input too: p + q·(x − mean) per channel. Terms of norms that share their statistics add up, and are applied
/// once.
class Correction {
 public:
  explicit Correction(std::int64_t length)
      : p_(static_cast<std::size_t>(length)), q_(static_cast<std::size_t>(length)) {}

  void add(const NormParts& norm, const ChannelStatistics& statistics, const NormSums& sums, std::int64_t rows);

  template <class T>
  [[nodiscard]] std::vector<T> p() const {
    return {p_.begin(), p_.end()};
  }
  template <class T>
  [[nodiscard]] std::vector<T> q() const {
    return {q_.begin(), q_.end()};
  }

 private:
  std::vector<double> p_;
  std::vector<double> q_;
};

/// The gradients of γ and β.
struct NormGradients {
  at::Tensor weight;
  at::Tensor bias;
};
NormGradients norm_gradients(const NormParts& norm, const ChannelStatistics& statistics, const NormSums& sums);

}  // namespace densenet::engine
