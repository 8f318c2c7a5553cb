#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>
#include <utility>

#include "core/engine/cuda/block.h"
#include "core/engine/cuda/matrix.h"
#include "core/engine/cuda/tail.h"

namespace densenet::engine::cuda {

namespace {

/// As the CPU's: from the last layer to the first, gradients added into one buffer, what batch norms subtract kept a
/// channel and applied once, where the channel's own producer is reached.
class Backward {
 public:
  Backward(DeviceTrace& trace, const at::Tensor& output_gradient, bool input_wanted)
      : trace_(trace),
        kernels_(*trace.kernels),
        rows_(trace.pixels.count()),
        input_wanted_(input_wanted),
        options_(trace.x.options()),
        gradient_(make_matrix(rows_, trace.channels, options_)),
        correction_(trace.channels, options_) {
    const TailParts& tail = trace.parts.tail;
    const TailGradients found = tail_backward(trace, output_gradient, gradient_);
    if (tail.kind == TailKind::kJoin) return;
    put(tail_, kernels_.finish_norm(tail.norm, trace.moments, found.sums, rows_, correction_));
    if (tail.kind == TailKind::kTransition) tail_.push_back(found.weight);
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
    if (input_wanted_) result.input = to_images(finished(0, trace_.in, {}), trace_.pixels);
    result.parameters = join_gradients(std::move(layers), std::move(tail_));
    return result;
  }

 private:
  static void put(std::vector<at::Tensor>& list, VectorGradients gradients) {
    list.push_back(std::move(gradients.weight));
    list.push_back(std::move(gradients.bias));
  }

  void bottleneck(const LayerParts& layer, DeviceTrace::Layer& kept, std::vector<at::Tensor>& gradients) {
    const at::Tensor y =
        kept.y.defined() ? kept.y : pointwise_forward(trace_, layer, kept, Moments(layer.width(), options_));
    auto [dy, weight2] = spatial(layer.conv2, y, kept.norm2, kept);
    const at::Tensor sums = kernels_.norm_relu_backward(dy, y, kept.norm2, kept.moments.mean, dy, false);
    const Correction inner(layer.width(), options_);
    VectorGradients norm2 = kernels_.finish_norm(layer.norm2, kept.moments, sums, rows_, inner);
    kernels_.correct(dy, y, inner, kept.moments.mean, kept.inner_mask, dy);

    const at::Tensor x = trace_.read_by(kept);
    const at::Tensor z = make_matrix(rows_, kept.in, options_);
    const bool wanted = layer.conv1.requires_grad();
    if (wanted) kernels_.norm_relu(x, kept.norm1, z);
    const auto found =
        pointwise_backward(dy, z, trace_.pixels, pointwise_weight(layer.conv1, dy.scalar_type()), wanted);
    put(gradients, through_norm1(layer, kept, found.z));
    at::Tensor weight1;
    if (wanted) weight1 = found.weight.to(layer.conv1.scalar_type()).view_as(layer.conv1);
    gradients.push_back(std::move(weight1));
    put(gradients, std::move(norm2));
    gradients.push_back(std::move(weight2));
  }

  void plain(const LayerParts& layer, const DeviceTrace::Layer& kept, std::vector<at::Tensor>& gradients) {
    auto [dz, weight] = spatial(layer.conv1, trace_.read_by(kept), kept.norm1, kept);
    put(gradients, through_norm1(layer, kept, dz));
    gradients.push_back(std::move(weight));
  }

  /// Adds a layer's gradient into the buffer, through its first norm and ReLU.
  VectorGradients through_norm1(const LayerParts& layer, const DeviceTrace::Layer& kept, const at::Tensor& dz) {
    const at::Tensor mean = trace_.moments.mean.narrow(0, 0, kept.in);
    const at::Tensor sums = kernels_.norm_relu_backward(dz, trace_.read_by(kept), kept.norm1, mean,
                                                        gradient_.narrow(1, 0, kept.in), /*accumulate=*/true);
    return kernels_.finish_norm(layer.norm1, trace_.moments.part(0, kept.in), sums, rows_,
                                correction_.part(0, kept.in));
  }

  /// The 3×3 convolution that wrote a layer's channels: the gradients of its rectified input and of its weight.
  std::pair<at::Tensor, at::Tensor> spatial(const at::Tensor& weight, const at::Tensor& x, const NormVectors& norm,
                                            const DeviceTrace::Layer& kept) {
    const at::Tensor z = at::empty({x.size(0), x.size(1)}, options_);
    kernels_.norm_relu(x, norm, z);
    const at::Tensor dout = finished(kept.in, weight.size(0), kept.mask);
    const at::Tensor own = spatial_weight(weight, z.scalar_type());
    auto [dz, dw, none] = at::convolution_backward(to_images(dout, trace_.pixels), to_images(z, trace_.pixels), own,
                                                   at::OptionalIntArrayRef(), {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1,
                                                   std::array<bool, 3>{true, weight.requires_grad(), false});
    at::Tensor dweight;
    if (weight.requires_grad()) dweight = dw.to(weight.scalar_type()).contiguous();
    return {to_matrix(dz), dweight};
  }

  /// The finished gradient of some of the block's channels.
  at::Tensor finished(std::int64_t first, std::int64_t channels, const DropMask& mask) {
    const at::Tensor result = at::empty({rows_, channels}, options_);
    kernels_.correct(gradient_.narrow(1, first, channels), trace_.x.narrow(1, first, channels),
                     correction_.part(first, channels), trace_.moments.mean.narrow(0, first, channels), mask, result);
    return result;
  }

  DeviceTrace& trace_;
  const Kernels& kernels_;
  std::int64_t rows_;
  bool input_wanted_;
  at::TensorOptions options_;
  at::Tensor gradient_;  // Σ γ_l·r·dy_l of the layers seen so far
  Correction correction_;
  std::vector<at::Tensor> tail_;
};

}  // namespace

Correction::Correction(std::int64_t channels, const at::TensorOptions& options)
    : p(at::zeros({channels}, options.dtype(vector_type(c10::typeMetaToScalarType(options.dtype()))))),
      q(at::zeros_like(p)) {}

Correction Correction::part(std::int64_t first, std::int64_t channels) const {
  Correction part;
  part.p = p.narrow(0, first, channels);
  part.q = q.narrow(0, first, channels);
  return part;
}

BlockGradients run_block_backward(DeviceTrace& trace, const at::Tensor& output_gradient, bool input_wanted) {
  return Backward(trace, output_gradient, input_wanted).run();
}

}  // namespace densenet::engine::cuda
