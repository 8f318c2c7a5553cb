#include "core/engine/cuda/tail.h"

#include <ATen/ATen.h>

#include "core/engine/cuda/matrix.h"

namespace densenet::engine::cuda {

namespace {

Pixels halved(const Pixels& pixels) {
  return {.images = pixels.images, .height = pixels.height / 2, .width = pixels.width / 2};
}

/// Pooling commutes with the 1×1 convolution, so it comes first.
at::Tensor pooled(const Kernels& kernels, const NormVectors& norm, const at::Tensor& x, const Pixels& pixels) {
  const at::Tensor z = make_matrix(halved(pixels).count(), x.size(1), x.options());
  kernels.norm_relu_pool(x, norm, pixels, z);
  return z;
}

}  // namespace

at::Tensor tail_forward(const Kernels& kernels, const TailParts& tail, const NormVectors& norm, const at::Tensor& x,
                        const Pixels& pixels) {
  if (tail.kind == TailKind::kJoin) return to_images(x, pixels);
  if (tail.kind == TailKind::kGlobal) {
    const at::Tensor z = at::empty({x.size(0), x.size(1)}, x.options());
    kernels.norm_relu(x, norm, z);
    return z.view({pixels.images, -1, z.size(1)}).mean(1);
  }
  const at::Tensor weight = pointwise_weight(tail.conv, x.scalar_type());
  return to_images(at::mm(pooled(kernels, norm, x, pixels), weight.t()), halved(pixels));
}

TailGradients tail_backward(const DeviceTrace& trace, const at::Tensor& output_gradient, const at::Tensor& gradient) {
  const TailParts& tail = trace.parts.tail;
  const at::Tensor& x = trace.x;
  const at::Tensor incoming = output_gradient.to(x.scalar_type());
  TailGradients result;
  if (tail.kind == TailKind::kJoin) {
    gradient.copy_(to_matrix(incoming));
    return result;
  }
  const Kernels& kernels = *trace.kernels;
  if (tail.kind == TailKind::kGlobal) {
    const std::int64_t pixels = trace.pixels.height * trace.pixels.width;
    const at::Tensor dz =
        incoming.div(static_cast<double>(pixels)).unsqueeze(1).expand({-1, pixels, -1}).reshape({-1, x.size(1)});
    result.sums = kernels.norm_relu_backward(dz, x, trace.tail, trace.moments.mean, gradient, /*accumulate=*/false);
    return result;
  }
  const at::Tensor outer = to_matrix(incoming);
  if (tail.conv.requires_grad()) {
    const at::Tensor z = pooled(kernels, trace.tail, x, trace.pixels);
    result.weight = at::mm(outer.t(), z).to(tail.conv.scalar_type()).view_as(tail.conv);
  }
  const at::Tensor dz = at::mm(outer, pointwise_weight(tail.conv, x.scalar_type()));
  result.sums = kernels.norm_relu_pool_backward(dz, x, trace.tail, trace.moments.mean, trace.pixels, gradient);
  return result;
}

}  // namespace densenet::engine::cuda
