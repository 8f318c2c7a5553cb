#include "core/engine/cuda/tail.h"

#include <ATen/ATen.h>

#include "core/engine/cuda/matrix.h"

namespace densenet::engine::cuda {

namespace {

Pixels halved(const Pixels& pixels) {
  return {.images = pixels.images, .height = pixels.height / 2, .width = pixels.width / 2};
}

at::Tensor normalized(const Kernels& kernels, const NormVectors& norm, const at::Tensor& x) {
  const at::Tensor z = at::empty({x.size(0), x.size(1)}, x.options());
  kernels.norm_relu(x, norm, z);
  return z;
}

at::Tensor average(const at::Tensor& z, const Pixels& pixels) {
  return to_matrix(at::avg_pool2d(to_images(z, pixels), {2, 2}, {2, 2}));
}

}  // namespace

at::Tensor tail_forward(const Kernels& kernels, const TailParts& tail, const NormVectors& norm, const at::Tensor& x,
                        const Pixels& pixels) {
  if (tail.kind == TailKind::kJoin) return to_images(x, pixels);
  const at::Tensor z = normalized(kernels, norm, x);
  if (tail.kind == TailKind::kGlobal) return z.view({pixels.images, -1, z.size(1)}).mean(1);
  const at::Tensor weight = pointwise_weight(tail.conv, x.scalar_type());
  return to_images(at::mm(average(z, pixels), weight.t()), halved(pixels));
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
  at::Tensor dz;
  if (tail.kind == TailKind::kGlobal) {
    const std::int64_t pixels = trace.pixels.height * trace.pixels.width;
    dz = incoming.div(static_cast<double>(pixels)).unsqueeze(1).expand({-1, pixels, -1}).reshape({-1, x.size(1)});
  } else {
    const at::Tensor z = normalized(*trace.kernels, trace.tail, x);
    const at::Tensor outer = to_matrix(incoming);
    if (tail.conv.requires_grad()) {
      result.weight = at::mm(outer.t(), average(z, trace.pixels)).to(tail.conv.scalar_type()).view_as(tail.conv);
    }
    const at::Tensor pooled =
        to_images(at::mm(outer, pointwise_weight(tail.conv, x.scalar_type())), halved(trace.pixels));
    dz = to_matrix(at::avg_pool2d_backward(pooled, to_images(z, trace.pixels), {2, 2}, {2, 2}, {0, 0},
                                           /*ceil_mode=*/false, /*count_include_pad=*/true, std::nullopt));
  }
  result.sums = trace.kernels->norm_relu_backward(dz, x, trace.tail, trace.moments.mean, gradient,
                                                  /*accumulate=*/false);
  return result;
}

}  // namespace densenet::engine::cuda
