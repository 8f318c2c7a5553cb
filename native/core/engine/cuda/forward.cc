#include <ATen/ATen.h>

#include <utility>

#include "core/engine/cuda/block.h"
#include "core/engine/cuda/matrix.h"
#include "core/engine/cuda/tail.h"

namespace densenet::engine::cuda {

namespace {

class Forward {
 public:
  Forward(const BlockParts& parts, const at::Tensor& input, Keep keep, DeviceTrace& trace)
      : parts_(parts), keep_(keep), trace_(trace), kernels_(*trace.kernels), options_(input.options()) {
    trace.parts = parts;
    trace.pixels = {.images = input.size(0), .height = input.size(2), .width = input.size(3)};
    trace.in = input.size(1);
    trace.channels = trace.in;
    for (const LayerParts& layer : parts.layers) trace.channels += layer.growth();
    trace.x = make_matrix(trace.pixels.count(), trace.channels, options_);
    trace.moments = Moments(trace.channels, options_);
    kernels_.append(to_matrix(input), {}, trace.x.narrow(1, 0, trace.in), trace.moments.part(0, trace.in));
  }

  at::Tensor run() {
    std::int64_t channels = trace_.in;
    trace_.layers.resize(parts_.layers.size());
    for (std::size_t index = 0; index < parts_.layers.size(); ++index) {
      const LayerParts& layer = parts_.layers[index];
      DeviceTrace::Layer& kept = trace_.layers[index];
      kept.in = channels;
      kept.norm1 = kernels_.prepare_norm(layer.norm1, trace_.moments.part(0, channels), trace_.pixels.count());
      if (layer.bottleneck()) {
        bottleneck(layer, kept);
      } else {
        spatial(layer.conv1, trace_.read_by(kept), kept.norm1, kept);
      }
      channels += layer.growth();
    }
    if (parts_.tail.kind != TailKind::kJoin) {
      trace_.tail = kernels_.prepare_norm(parts_.tail.norm, trace_.moments, trace_.pixels.count());
    }
    return tail_forward(kernels_, parts_.tail, trace_.tail, trace_.x, trace_.pixels);
  }

 private:
  /// BN-ReLU-conv1×1-BN-ReLU-conv3×3, after the first norm's vectors are there.
  void bottleneck(const LayerParts& layer, DeviceTrace::Layer& kept) {
    if (parts_.drops() && parts_.drop_inside) {
      kept.inner_mask = draw_mask(*parts_.dropout, trace_.pixels, layer.width(), options_);
    }
    kept.moments = Moments(layer.width(), options_);
    const at::Tensor y = pointwise_forward(trace_, layer, kept, kept.moments);
    kept.norm2 = kernels_.prepare_norm(layer.norm2, kept.moments, trace_.pixels.count());
    if (keep_ == Keep::kAll) kept.y = y;
    spatial(layer.conv2, y, kept.norm2, kept);
  }

  /// ReLU and the 3×3 convolution, into the layer's own channels of the buffer.
  void spatial(const at::Tensor& weight, const at::Tensor& x, const NormVectors& norm, DeviceTrace::Layer& kept) {
    const std::int64_t out = weight.size(0);
    if (parts_.drops()) kept.mask = draw_mask(*parts_.dropout, trace_.pixels, out, options_);
    const at::Tensor z = at::empty({x.size(0), x.size(1)}, options_);
    kernels_.norm_relu(x, norm, z);
    kernels_.append(convolve(z, trace_.pixels, spatial_weight(weight, x.scalar_type())), kept.mask,
                    trace_.x.narrow(1, kept.in, out), trace_.moments.part(kept.in, out));
  }

  const BlockParts& parts_;
  Keep keep_;
  DeviceTrace& trace_;
  const Kernels& kernels_;
  at::TensorOptions options_;
};

}  // namespace

Moments::Moments(std::int64_t channels, const at::TensorOptions& options)
    : mean(at::empty({channels}, options.dtype(vector_type(c10::typeMetaToScalarType(options.dtype()))))),
      variance(at::empty_like(mean)) {}

Moments Moments::part(std::int64_t first, std::int64_t channels) const {
  Moments part;
  part.mean = mean.narrow(0, first, channels);
  part.variance = variance.narrow(0, first, channels);
  return part;
}

at::Tensor pointwise_forward(const DeviceTrace& trace, const LayerParts& layer, const DeviceTrace::Layer& kept,
                             const Moments& into) {
  const at::Tensor x = trace.read_by(kept);
  const at::Tensor z = make_matrix(x.size(0), x.size(1), x.options());
  trace.kernels->norm_relu(x, kept.norm1, z);
  at::Tensor y = pointwise(z, trace.pixels, pointwise_weight(layer.conv1, z.scalar_type()));
  trace.kernels->append(y, kept.inner_mask, y, into);
  return y;
}

at::Tensor run_block_forward(std::shared_ptr<const Kernels> kernels, const BlockParts& parts, const at::Tensor& input,
                             Keep keep, DeviceTrace& trace) {
  trace.kernels = std::move(kernels);
  return Forward(parts, input.detach(), keep, trace).run();
}

}  // namespace densenet::engine::cuda
