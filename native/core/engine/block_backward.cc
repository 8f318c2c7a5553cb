#include <ATen/ATen.h>

#include <utility>

#include "core/engine/block.h"
#include "core/engine/pack.h"
#include "core/engine/tail.h"

namespace densenet::engine {

namespace {

/// Goes through the layers from the last to the first. `gradient_` holds, for each channel of the block, Σ γ_l·r·dy_l
/// of the layers seen so far; `correction_` holds what their batch norms subtract, which is applied when the channel's
/// own producer is reached.
template <class T>
class Backward {
 public:
  Backward(BlockTrace& trace, const at::Tensor& output_gradient, bool input_wanted)
      : trace_(trace),
        rows_(trace.pixels.count()),
        input_wanted_(input_wanted),
        correction_(trace.x.ld),
        ones_(static_cast<std::size_t>(trace.x.ld), T{1}),
        mean_(trace.statistics.mean.begin(), trace.statistics.mean.end()) {
    mean_.resize(static_cast<std::size_t>(trace.x.ld));
    TailGradients<T> tail = tail_backward<T>(trace, output_gradient);
    gradient_ = std::move(tail.gradient);
    if (trace.parts.tail.kind == TailKind::kJoin) return;
    const NormParts& norm = trace.parts.tail.norm;
    correction_.add(norm, trace.statistics, tail.sums, rows_);
    put(tail_, norm, trace.statistics, tail.sums);
    if (trace.parts.tail.kind == TailKind::kTransition) tail_.push_back(tail.weight);
  }

  BlockGradients run() {
    auto layers = walk_back(trace_.parts, trace_.layers, input_wanted_, [this](std::size_t index) {
      const LayerParts& layer = trace_.parts.layers[index];
      std::vector<at::Tensor> gradients;
      if (layer.bottleneck()) {
        bottleneck(layer, trace_.layers[index], gradients);
      } else {
        plain(layer, trace_.layers[index], gradients);
      }
      return gradients;
    });
    BlockGradients result;
    if (input_wanted_) result.input = input_gradient();
    result.parameters = join_gradients(std::move(layers), std::move(tail_));
    return result;
  }

 private:
  static void put(std::vector<at::Tensor>& list, const NormParts& norm, const ChannelStatistics& statistics,
                  const NormSums& sums) {
    const NormGradients gradients = norm_gradients(norm, statistics, sums);
    list.push_back(norm.weight.requires_grad() ? gradients.weight : at::Tensor());
    list.push_back(norm.bias.requires_grad() ? gradients.bias : at::Tensor());
  }

  void bottleneck(const LayerParts& layer, BlockTrace::Layer& kept, std::vector<at::Tensor>& gradients) {
    Rows y = kept.y;
    if (!y.memory.defined()) {
      if (!y_.memory.defined()) y_ = Rows(rows_, whole_panels(layer.width()), trace_.x.memory.options());
      y = y_;
      pointwise_forward<T>(trace_, layer, kept, y, nullptr);
    }
    if (!inner_.memory.defined()) inner_ = Rows(rows_, y.ld, y.memory.options());
    const NormVectors<T> norm2(layer.norm2, kept.statistics, y.ld);
    const ConvolutionGradients second =
        spatial(layer.conv2, kept, y, layer.width(), norm2.view(), inner_, /*accumulate=*/false);

    Correction correction(y.ld);
    correction.add(layer.norm2, kept.statistics, second.sums, rows_);
    const std::vector<T> p = correction.template p<T>();
    const std::vector<T> q = correction.template q<T>();
    const NormVectors<T> norm1(layer.norm1, trace_.statistics, trace_.x.ld);
    const at::Tensor packed = pack_backward<T>(layer.conv1);
    const ConvolutionGradients first =
        PointwiseBackward<T>{.dy = {.g = inner_.data<T>(),
                                    .ldg = inner_.ld,
                                    .x = y.data<T>(),
                                    .ldx = y.ld,
                                    .channels = layer.width(),
                                    .scale = norm2.view().scale,
                                    .p = p.data(),
                                    .q = q.data(),
                                    .mean = norm2.view().mean,
                                    .mask = kept.inner_mask.defined() ? &kept.inner_mask : nullptr},
                             .x = trace_.x.data<T>(),
                             .ldx = trace_.x.ld,
                             .pixels = rows_,
                             .in = kept.in,
                             .norm = norm1.view(),
                             .weight = packed.const_data_ptr<T>(),
                             .original = layer.conv1,
                             .dx = gradient_.data<T>(),
                             .ldd = gradient_.ld}
            .run();
    correction_.add(layer.norm1, trace_.statistics, first.sums, rows_);
    put(gradients, layer.norm1, trace_.statistics, first.sums);
    gradients.push_back(first.weight);
    put(gradients, layer.norm2, kept.statistics, second.sums);
    gradients.push_back(second.weight);
  }

  void plain(const LayerParts& layer, const BlockTrace::Layer& kept, std::vector<at::Tensor>& gradients) {
    const NormVectors<T> norm(layer.norm1, trace_.statistics, trace_.x.ld);
    const ConvolutionGradients found =
        spatial(layer.conv1, kept, trace_.x, kept.in, norm.view(), gradient_, /*accumulate=*/true);
    correction_.add(layer.norm1, trace_.statistics, found.sums, rows_);
    put(gradients, layer.norm1, trace_.statistics, found.sums);
    gradients.push_back(found.weight);
  }

  /// The 3×3 convolution that wrote a layer's output, and the norm before it.
  ConvolutionGradients spatial(const at::Tensor& weight, const BlockTrace::Layer& kept, const Rows& x, std::int64_t in,
                               const Affine<T>& norm, const Rows& dx, bool accumulate) {
    const std::vector<T> p = correction_.template p<T>();
    const std::vector<T> q = correction_.template q<T>();
    const at::Tensor packed = pack_spatial_backward<T>(weight, trace_.pixels);
    OpenGradient<T> dy = open_gradient(p, q, kept.in, weight.size(0));
    dy.mask = kept.mask.defined() ? &kept.mask : nullptr;
    // dx is written by whole panels. Where the last of them holds some of dy's channels, dy is finished elsewhere
    // first: no thread may read what another writes, even where that changes nothing.
    if (accumulate && in % kPanel != 0) dy = finished(dy);
    return SpatialBackward<T>{.dy = dy,
                              .x = x.data<T>(),
                              .ldx = x.ld,
                              .pixels = trace_.pixels,
                              .in = in,
                              .norm = norm,
                              .weight = packed.const_data_ptr<T>(),
                              .original = weight,
                              .dx = dx.data<T>(),
                              .ldd = dx.ld,
                              .accumulate = accumulate}
        .run();
  }

  /// The gradient of some channels of the block, which lacks their correction.
  OpenGradient<T> open_gradient(const std::vector<T>& p, const std::vector<T>& q, std::int64_t first,
                                std::int64_t channels) const {
    return {.g = gradient_.data<T>() + first,
            .ldg = gradient_.ld,
            .x = trace_.x.data<T>() + first,
            .ldx = trace_.x.ld,
            .channels = channels,
            .scale = ones_.data(),
            .p = p.data() + first,
            .q = q.data() + first,
            .mean = mean_.data() + first,
            .mask = nullptr};
  }

  /// All of a gradient, corrected, in rows of their own.
  void finish(const OpenGradient<T>& open, const Rows& into) const {
    const Tiles tiles(rows_);
    for_items(tiles.count, rows_ * open.channels * kMove, [&](std::int64_t tile, std::int64_t /*slot*/) {
      const Range rows = tiles[tile];
      open.finish(rows.begin, rows.size(), into.data<T>() + (rows.begin * into.ld), into.ld);
    });
  }

  /// A layer's gradient in `inner_`, with nothing left to correct.
  OpenGradient<T> finished(OpenGradient<T> dy) {
    if (!inner_.memory.defined()) inner_ = Rows(rows_, whole_panels(dy.channels), trace_.x.memory.options());
    zeros_.resize(static_cast<std::size_t>(inner_.ld), T{0});
    finish(dy, inner_);
    dy.g = inner_.data<T>();
    dy.ldg = inner_.ld;
    dy.p = zeros_.data();
    dy.q = zeros_.data();
    dy.mask = nullptr;
    return dy;
  }

  at::Tensor input_gradient() {
    const Rows result(rows_, whole_panels(trace_.in), trace_.x.memory.options());
    const std::vector<T> p = correction_.template p<T>();
    const std::vector<T> q = correction_.template q<T>();
    finish(open_gradient(p, q, 0, trace_.in), result);
    return result.as_images(trace_.pixels, trace_.in);
  }

  BlockTrace& trace_;
  std::int64_t rows_;
  bool input_wanted_;
  Rows gradient_;
  Correction correction_;
  std::vector<T> ones_;
  std::vector<T> mean_;
  std::vector<T> zeros_;
  Rows inner_;  // the gradient between a layer's convolutions, or a plain layer's, finished
  Rows y_;      // conv1's output, where it was not kept
  std::vector<at::Tensor> tail_;
};

}  // namespace

namespace {

bool learns(const NormParts& norm) {
  return norm.weight.defined() && (norm.weight.requires_grad() || norm.bias.requires_grad());
}

}  // namespace

bool learns(const LayerParts& layer) {
  return learns(layer.norm1) || learns(layer.norm2) || layer.conv1.requires_grad() ||
         (layer.bottleneck() && layer.conv2.requires_grad());
}

BlockGradients run_block_backward(BlockTrace& trace, const at::Tensor& output_gradient, bool input_wanted) {
  if (trace.x.memory.scalar_type() == at::kDouble) return Backward<double>(trace, output_gradient, input_wanted).run();
  return Backward<float>(trace, output_gradient, input_wanted).run();
}

std::vector<at::Tensor> join_gradients(std::vector<std::vector<at::Tensor>> layers, std::vector<at::Tensor> tail) {
  std::vector<at::Tensor> list;
  for (auto& layer : layers) std::ranges::move(layer, std::back_inserter(list));
  std::ranges::move(tail, std::back_inserter(list));
  return list;
}

std::vector<at::Tensor> parameters_of(const BlockParts& parts) {
  std::vector<at::Tensor> list;
  for (const LayerParts& layer : parts.layers) {
    list.insert(list.end(), {layer.norm1.weight, layer.norm1.bias, layer.conv1});
    if (layer.bottleneck()) list.insert(list.end(), {layer.norm2.weight, layer.norm2.bias, layer.conv2});
  }
  if (parts.tail.kind != TailKind::kJoin) list.insert(list.end(), {parts.tail.norm.weight, parts.tail.norm.bias});
  if (parts.tail.kind == TailKind::kTransition) list.push_back(parts.tail.conv);
  return list;
}

}  // namespace densenet::engine
