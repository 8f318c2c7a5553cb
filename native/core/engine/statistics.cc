#include "core/engine/statistics.h"

#include <cmath>

namespace densenet::engine {

namespace {

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kDouble).contiguous();
  const auto* data = values.const_data_ptr<double>();
  return {data, data + values.numel()};
}

double reciprocal_deviation(double variance, double epsilon) { return 1.0 / std::sqrt(variance + epsilon); }

}  // namespace

template <class T>
void TileStatistics<T>::merge(ChannelStatistics& into, std::int64_t offset, std::int64_t channels) const {
  double rows = 0.0;
  for (const double count : rows_) rows += count;
  double* mean = into.mean.data() + offset;
  double* variance = into.variance.data() + offset;
  std::fill_n(mean, channels, 0.0);
  std::fill_n(variance, channels, 0.0);
  const T* values = values_.data();
  for (std::size_t tile = 0; tile < rows_.size(); ++tile) {
    const T* tile_mean = values + (2 * static_cast<std::int64_t>(tile) * channels_);
    for (std::int64_t c = 0; c < channels; ++c) mean[c] += rows_[tile] * static_cast<double>(tile_mean[c]);
  }
  for (std::int64_t c = 0; c < channels; ++c) mean[c] /= rows;
  for (std::size_t tile = 0; tile < rows_.size(); ++tile) {
    const T* tile_mean = values + (2 * static_cast<std::int64_t>(tile) * channels_);
    const T* deviations = tile_mean + channels_;
    for (std::int64_t c = 0; c < channels; ++c) {
      const double difference = static_cast<double>(tile_mean[c]) - mean[c];
      variance[c] += static_cast<double>(deviations[c]) + (rows_[tile] * difference * difference);
    }
  }
  for (std::int64_t c = 0; c < channels; ++c) variance[c] /= rows;
}

template <class T>
NormVectors<T>::NormVectors(const NormParts& norm, const ChannelStatistics& statistics, std::int64_t length)
    : scale_(static_cast<std::size_t>(length)),
      shift_(static_cast<std::size_t>(length)),
      mean_(static_cast<std::size_t>(length)) {
  const std::vector<double> weight = doubles(norm.weight);
  const std::vector<double> bias = doubles(norm.bias);
  for (std::size_t c = 0; c < weight.size(); ++c) {
    const double scale = weight[c] * reciprocal_deviation(statistics.variance[c], norm.epsilon);
    scale_[c] = static_cast<T>(scale);
    shift_[c] = static_cast<T>(bias[c] - (scale * statistics.mean[c]));
    mean_[c] = static_cast<T>(statistics.mean[c]);
  }
}

ChannelStatistics running_statistics(const NormParts& norm) {
  ChannelStatistics statistics;
  statistics.mean = doubles(norm.running_mean);
  statistics.variance = doubles(norm.running_variance);
  return statistics;
}

void update_running(const NormParts& norm, const ChannelStatistics& statistics, std::int64_t rows) {
  const std::int64_t channels = norm.running_mean.numel();
  const double unbiased = static_cast<double>(rows) / static_cast<double>(rows - 1);
  const auto move = [&](auto* mean, auto* variance) {
    using T = std::remove_pointer_t<decltype(mean)>;
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto place = static_cast<std::size_t>(c);
      const auto mix = [&](T old, double seen) {
        return static_cast<T>(((1.0 - norm.momentum) * static_cast<double>(old)) + (norm.momentum * seen));
      };
      mean[c] = mix(mean[c], statistics.mean[place]);
      variance[c] = mix(variance[c], statistics.variance[place] * unbiased);
    }
  };
  if (norm.running_mean.scalar_type() == at::kDouble) {
    move(norm.running_mean.mutable_data_ptr<double>(), norm.running_variance.mutable_data_ptr<double>());
  } else {
    move(norm.running_mean.mutable_data_ptr<float>(), norm.running_variance.mutable_data_ptr<float>());
  }
  // Written behind ATen's back, so it is told: whoever keeps something made from these tensors sees that they changed.
  norm.running_mean.unsafeGetTensorImpl()->bump_version();
  norm.running_variance.unsafeGetTensorImpl()->bump_version();
  norm.batches.add_(1);
}

template <class T>
void NormSums::add(const T* tile_g, const T* tile_gx, Range channels) {
  for (std::int64_t c = channels.begin; c < channels.end; ++c) {
    g[static_cast<std::size_t>(c)] += static_cast<double>(tile_g[c]);
    gx[static_cast<std::size_t>(c)] += static_cast<double>(tile_gx[c]);
  }
}

void NormSums::add(const NormSums& other, Range channels) { add(other.g.data(), other.gx.data(), channels); }

void Correction::add(const NormParts& norm, const ChannelStatistics& statistics, const NormSums& sums,
                     std::int64_t rows) {
  const std::vector<double> weight = doubles(norm.weight);
  const auto count = static_cast<double>(rows);
  for (std::size_t c = 0; c < weight.size(); ++c) {
    const double deviation = reciprocal_deviation(statistics.variance[c], norm.epsilon);
    const double scale = weight[c] * deviation;
    p_[c] -= scale * sums.g[c] / count;
    q_[c] -= scale * deviation * deviation * sums.gx[c] / count;
  }
}

NormGradients norm_gradients(const NormParts& norm, const ChannelStatistics& statistics, const NormSums& sums) {
  const auto channels = static_cast<std::int64_t>(norm.weight.numel());
  const at::Tensor weight = at::empty({channels}, at::kDouble);
  const at::Tensor bias = at::empty({channels}, at::kDouble);
  auto* weight_data = weight.mutable_data_ptr<double>();
  auto* bias_data = bias.mutable_data_ptr<double>();
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto place = static_cast<std::size_t>(c);
    weight_data[c] = sums.gx[place] * reciprocal_deviation(statistics.variance[place], norm.epsilon);
    bias_data[c] = sums.g[place];
  }
  return {.weight = weight.to(norm.weight.scalar_type()), .bias = bias.to(norm.bias.scalar_type())};
}

template class TileStatistics<float>;
template class TileStatistics<double>;
template class NormVectors<float>;
template class NormVectors<double>;
template void NormSums::add<float>(const float*, const float*, Range);
template void NormSums::add<double>(const double*, const double*, Range);

}  // namespace densenet::engine
