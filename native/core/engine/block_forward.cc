#include <ATen/ATen.h>

#include "core/engine/block.h"
#include "core/engine/pack.h"
#include "core/engine/tail.h"

namespace densenet::engine {

DropMask draw_mask(const Dropout& dropout, const Pixels& pixels, std::int64_t channels,
                   const at::TensorOptions& options) {
  const at::Tensor mask = at::empty({pixels.images, channels, pixels.height, pixels.width}, options);
  mask.bernoulli_(1.0 - dropout.rate, dropout.generator);
  return {.bytes = mask.permute({0, 2, 3, 1}).to(at::kByte).contiguous().view({pixels.count(), channels}),
          .scale = 1.0 / (1.0 - dropout.rate)};
}

namespace {

template <class T>
class Forward {
 public:
  Forward(const BlockParts& parts, const at::Tensor& input, Keep keep, BlockTrace& trace)
      : parts_(parts), keep_(keep), trace_(trace), options_(input.options().requires_grad(false)) {
    trace.parts = parts;
    trace.pixels = {.images = input.size(0), .height = input.size(2), .width = input.size(3)};
    trace.in = input.size(1);
    trace.channels = trace.in;
    for (const LayerParts& layer : parts.layers) trace.channels += layer.growth();
    // One panel more than needed: a layer's output is written by whole panels, and rows that are a power of two apart
    // would fall on the same few cache lines.
    trace.x = Rows(trace.pixels.count(), whole_panels(trace.channels) + kPanel, options_);
    trace.statistics = ChannelStatistics(trace.channels);
    trace.x.as_images(trace.pixels, trace.in).copy_(input.detach());
    measure<T>(trace.x, trace.in, trace.statistics);
  }

  at::Tensor run() {
    trace_.layers.resize(parts_.layers.size());
    std::int64_t channels = trace_.in;
    for (std::size_t index = 0; index < parts_.layers.size(); ++index) {
      const LayerParts& layer = parts_.layers[index];
      trace_.layers[index].in = channels;
      if (layer.bottleneck()) {
        bottleneck(layer, trace_.layers[index]);
      } else {
        plain(layer, trace_.layers[index]);
      }
      channels += layer.growth();
    }
    if (parts_.tail.kind != TailKind::kJoin) {
      update_running(parts_.tail.norm, trace_.statistics, trace_.pixels.count());
    }
    return tail_forward<T>(parts_.tail, trace_.x, trace_.pixels, trace_.channels, trace_.statistics);
  }

 private:
  /// BN-ReLU-conv1×1-BN-ReLU-conv3×3.
  void bottleneck(const LayerParts& layer, BlockTrace::Layer& kept) {
    if (keep_ == Keep::kAll || !y_.memory.defined())
      y_ = Rows(trace_.pixels.count(), whole_panels(layer.width()), options_);
    kept.statistics = ChannelStatistics(layer.width());
    if (parts_.drops() && parts_.drop_inside)
      kept.inner_mask = draw_mask(*parts_.dropout, trace_.pixels, layer.width(), options_);
    pointwise_forward<T>(trace_, layer, kept, y_, &kept.statistics);
    update_running(layer.norm1, trace_.statistics, trace_.pixels.count());
    update_running(layer.norm2, kept.statistics, trace_.pixels.count());
    if (keep_ == Keep::kAll) kept.y = y_;
    const NormVectors<T> norm(layer.norm2, kept.statistics, y_.ld);
    spatial(layer.conv2, y_.data<T>(), y_.ld, layer.width(), norm.view(), kept);
  }

  /// BN-ReLU-conv3×3.
  void plain(const LayerParts& layer, BlockTrace::Layer& kept) {
    const NormVectors<T> norm(layer.norm1, trace_.statistics, trace_.x.ld);
    update_running(layer.norm1, trace_.statistics, trace_.pixels.count());
    spatial(layer.conv1, trace_.x.data<T>(), trace_.x.ld, kept.in, norm.view(), kept);
  }

  void spatial(const at::Tensor& weight, const T* x, std::int64_t ldx, std::int64_t in, const Affine<T>& norm,
               BlockTrace::Layer& kept) {
    const std::int64_t out = weight.size(0);
    if (parts_.drops()) kept.mask = draw_mask(*parts_.dropout, trace_.pixels, out, options_);
    const at::Tensor packed = pack_spatial_forward<T>(weight, trace_.pixels);
    SpatialForward<T>{.x = x,
                      .ldx = ldx,
                      .pixels = trace_.pixels,
                      .in = in,
                      .norm = norm,
                      .weight = packed.const_data_ptr<T>(),
                      .out = out,
                      .y = trace_.x.data<T>() + kept.in,
                      .ldy = trace_.x.ld,
                      .mask = kept.mask.defined() ? &kept.mask : nullptr,
                      .statistics = &trace_.statistics,
                      .statistics_offset = kept.in}
        .run();
  }

  const BlockParts& parts_;
  Keep keep_;
  BlockTrace& trace_;
  at::TensorOptions options_;
  Rows y_;
};

}  // namespace

at::Tensor run_block_forward(const BlockParts& parts, const at::Tensor& input, Keep keep, BlockTrace& trace) {
  if (input.scalar_type() == at::kDouble) return Forward<double>(parts, input, keep, trace).run();
  return Forward<float>(parts, input, keep, trace).run();
}

template <class T>
void pointwise_forward(const BlockTrace& trace, const LayerParts& layer, const BlockTrace::Layer& kept, const Rows& y,
                       ChannelStatistics* statistics) {
  const NormVectors<T> norm(layer.norm1, trace.statistics, trace.x.ld);
  const at::Tensor packed = pack_forward<T>(layer.conv1);
  PointwiseForward<T>{.x = trace.x.data<T>(),
                      .ldx = trace.x.ld,
                      .pixels = trace.pixels.count(),
                      .in = kept.in,
                      .norm = norm.view(),
                      .weight = packed.const_data_ptr<T>(),
                      .out = layer.width(),
                      .y = y,
                      .bias = nullptr,
                      .mask = kept.inner_mask.defined() ? &kept.inner_mask : nullptr,
                      .statistics = statistics}
      .run();
}

template void pointwise_forward<float>(const BlockTrace&, const LayerParts&, const BlockTrace::Layer&, const Rows&,
                                       ChannelStatistics*);
template void pointwise_forward<double>(const BlockTrace&, const LayerParts&, const BlockTrace::Layer&, const Rows&,
                                        ChannelStatistics*);

}  // namespace densenet::engine
