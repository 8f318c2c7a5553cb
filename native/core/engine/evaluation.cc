#include "core/engine/evaluation.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/engine/pack.h"
#include "core/engine/passes.h"
#include "core/engine/tail.h"
#include "core/engine/winograd.h"

namespace densenet::engine {

namespace {

void note(const NormParts& norm, Versions& versions) {
  for (const at::Tensor& tensor : {norm.weight, norm.bias, norm.running_mean, norm.running_variance}) {
    if (tensor.defined()) versions.emplace_back(tensor.const_data_ptr(), tensor._version());
  }
}

at::Tensor padded(const at::Tensor& values, std::int64_t length, at::ScalarType type) {
  at::Tensor all = at::zeros({length}, values.options().dtype(type));
  all.narrow(0, 0, values.numel()).copy_(values);
  return all;
}

}  // namespace

Versions versions_of(const BlockParts& parts) {
  Versions versions;
  for (const LayerParts& layer : parts.layers) {
    note(layer.norm1, versions);
    note(layer.norm2, versions);
    versions.emplace_back(layer.conv1.const_data_ptr(), layer.conv1._version());
    if (layer.bottleneck()) versions.emplace_back(layer.conv2.const_data_ptr(), layer.conv2._version());
  }
  note(parts.tail.norm, versions);
  if (parts.tail.conv.defined()) versions.emplace_back(parts.tail.conv.const_data_ptr(), parts.tail.conv._version());
  return versions;
}

std::pair<at::Tensor, at::Tensor> scale_and_shift(const NormParts& norm) {
  const at::Tensor scale =
      norm.weight.detach().to(at::kDouble) / (norm.running_variance.to(at::kDouble) + norm.epsilon).sqrt();
  return {scale, norm.bias.detach().to(at::kDouble) - (scale * norm.running_mean.to(at::kDouble))};
}

template <class T>
void BlockEvaluation::prepare(const BlockParts& parts, const Pixels& pixels) {
  Versions versions = versions_of(parts);
  const bool winograd = winograd_pays(pixels);
  if (versions == made_from_ && winograd == made_for_winograd_) return;
  constexpr at::ScalarType kType = at::CppTypeToScalarType<T>::value;
  layers_.clear();
  for (const LayerParts& parts_of_layer : parts.layers) {
    const std::int64_t in = parts_of_layer.conv1.size(1);
    const auto [scale1, shift1] = scale_and_shift(parts_of_layer.norm1);
    Layer layer{
        .norm1 = {.scale = padded(scale1, whole_panels(in), kType), .shift = padded(shift1, whole_panels(in), kType)},
        .conv1 = {},
        .bias = {},
        .conv2 = {},
        .width = parts_of_layer.width(),
        .growth = parts_of_layer.growth(),
        .bottleneck = parts_of_layer.bottleneck()};
    if (layer.bottleneck) {
      const auto [scale2, shift2] = scale_and_shift(parts_of_layer.norm2);
      const auto* data = scale2.const_data_ptr<double>();
      const std::vector<double> scales(data, data + scale2.numel());
      layer.conv1 = pack_forward<T>(parts_of_layer.conv1, &scales);
      layer.bias = padded(shift2, whole_panels(layer.width), kType);
      layer.conv2 = pack_spatial_forward<T>(parts_of_layer.conv2, pixels);
    } else {
      layer.conv1 = pack_spatial_forward<T>(parts_of_layer.conv1, pixels);
    }
    layers_.push_back(std::move(layer));
  }
  made_from_ = std::move(versions);
  made_for_winograd_ = winograd;
}

template <class T>
at::Tensor BlockEvaluation::run_as(const BlockParts& parts, const at::Tensor& input) {
  const Pixels pixels{.images = input.size(0), .height = input.size(2), .width = input.size(3)};
  prepare<T>(parts, pixels);
  std::int64_t channels = input.size(1);
  const std::int64_t first = channels;
  std::int64_t widest = 0;
  for (const Layer& layer : layers_) {
    channels += layer.growth;
    widest = std::max(widest, layer.bottleneck ? layer.width : 0);
  }
  const Rows x(pixels.count(), whole_panels(channels) + kPanel, input.options());
  x.as_images(pixels, first).copy_(input);
  // Where there are images enough for all threads, each image goes through all layers while it is in the cache.
  const std::int64_t parts_of_batch = pixels.images >= std::int64_t{2} * at::get_num_threads() ? pixels.images : 1;
  const Pixels piece{.images = pixels.images / parts_of_batch, .height = pixels.height, .width = pixels.width};
  const std::int64_t slots = std::min<std::int64_t>(at::get_num_threads(), parts_of_batch);
  const Rows y(slots * piece.count(), whole_panels(widest), input.options());  // one for all layers
  for_items(parts_of_batch, parts_of_batch * kWorkOfThread, [&](std::int64_t item, std::int64_t slot) {
    const Rows own = x.part(item * piece.count(), piece.count());
    run_layers<T>(own, piece, first, y.part(slot * piece.count(), piece.count()));
  });
  const bool joins = parts.tail.kind == TailKind::kJoin;
  return tail_forward<T>(parts.tail, x, pixels, channels,
                         joins ? ChannelStatistics() : running_statistics(parts.tail.norm));
}

template <class T>
void BlockEvaluation::run_layers(const Rows& x, const Pixels& pixels, std::int64_t channels, const Rows& y) const {
  for (const Layer& layer : layers_) {
    const Affine<T> norm1{.scale = layer.norm1.scale.template const_data_ptr<T>(),
                          .shift = layer.norm1.shift.template const_data_ptr<T>(),
                          .mean = nullptr};
    SpatialForward<T> spatial{.x = x.data<T>(),
                              .ldx = x.ld,
                              .pixels = pixels,
                              .in = channels,
                              .norm = norm1,
                              .weight = layer.conv1.template const_data_ptr<T>(),
                              .out = layer.growth,
                              .y = x.data<T>() + channels,
                              .ldy = x.ld};
    if (layer.bottleneck) {
      PointwiseForward<T>{.x = x.data<T>(),
                          .ldx = x.ld,
                          .pixels = pixels.count(),
                          .in = channels,
                          .norm = norm1,
                          .weight = layer.conv1.template const_data_ptr<T>(),
                          .out = layer.width,
                          .y = y,
                          .bias = layer.bias.template const_data_ptr<T>(),
                          .mask = nullptr,
                          .statistics = nullptr}
          .run();
      spatial.x = y.data<T>();
      spatial.ldx = y.ld;
      spatial.in = layer.width;
      spatial.norm.reset();
      spatial.weight = layer.conv2.template const_data_ptr<T>();
    }
    spatial.run();
    channels += layer.growth;
  }
}

at::Tensor BlockEvaluation::run(const BlockParts& parts, const at::Tensor& input) {
  if (input.scalar_type() == at::kDouble) return run_as<double>(parts, input);
  return run_as<float>(parts, input);
}

}  // namespace densenet::engine
