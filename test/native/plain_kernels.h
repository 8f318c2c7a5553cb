#pragma once

#include <ATen/ATen.h>

#include "core/engine/cuda/kernels.h"
#include "core/engine/cuda/matrix.h"

/// The operator's passes in ATen's plainest terms, in whatever type their tensors have: what the CUDA kernels are held
/// against, and, in double precision, what shows that the operator's algebra is the network's.
class PlainKernels final : public densenet::engine::cuda::Kernels {
 public:
  using Correction = densenet::engine::cuda::Correction;
  using DropMask = densenet::engine::DropMask;
  using Moments = densenet::engine::cuda::Moments;
  using NormParts = densenet::engine::NormParts;
  using NormVectors = densenet::engine::cuda::NormVectors;
  using Pixels = densenet::engine::Pixels;
  using VectorGradients = densenet::engine::cuda::VectorGradients;

  void append(const at::Tensor& x, const DropMask& mask, const at::Tensor& out, const Moments& into) const override {
    out.copy_(masked(x, mask));
    measure(out, into);
  }

  void norm_relu(const at::Tensor& x, const NormVectors& norm, const at::Tensor& out) const override {
    out.copy_(before_relu(x, norm).relu());
  }

  void norm_relu_pool(const at::Tensor& x, const NormVectors& norm, const Pixels& pixels,
                      const at::Tensor& out) const override {
    const at::Tensor z = before_relu(x, norm).relu();
    out.copy_(to_matrix(at::avg_pool2d(to_images(z, pixels), {2, 2}, {2, 2})));
  }

  at::Tensor norm_relu_pool_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                     const at::Tensor& mean, const Pixels& pixels,
                                     const at::Tensor& gradient) const override {
    const Pixels small{.images = pixels.images, .height = pixels.height / 2, .width = pixels.width / 2};
    const at::Tensor like = to_images(at::empty({x.size(0), x.size(1)}, mean.options()), pixels);
    const at::Tensor given = to_images(dy.to(mean.scalar_type()).contiguous(), small);
    const at::Tensor dz = at::avg_pool2d_backward(given, like, {2, 2}, {2, 2}, {0, 0}, /*ceil_mode=*/false,
                                                  /*count_include_pad=*/true, std::nullopt);
    return norm_relu_backward(to_matrix(dz), x, norm, mean, gradient, /*accumulate=*/false);
  }

  at::Tensor norm_relu_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                const at::Tensor& mean, const at::Tensor& gradient, bool accumulate) const override {
    const at::ScalarType type = norm.scale.scalar_type();
    const at::Tensor g = dy.to(type) * before_relu(x, norm).gt(0);
    const at::Tensor sums = at::stack({g.sum(0), (g * (x.to(type) - mean)).sum(0)});
    const at::Tensor passed = norm.scale * g;
    gradient.copy_(accumulate ? gradient.to(type) + passed : passed);
    return sums;
  }

  void correct(const at::Tensor& gradient, const at::Tensor& x, const Correction& correction, const at::Tensor& mean,
               const DropMask& mask, const at::Tensor& out) const override {
    const at::ScalarType type = mean.scalar_type();
    out.copy_(masked(gradient.to(type) + correction.p + correction.q * (x.to(type) - mean), mask));
  }

  [[nodiscard]] NormVectors prepare_norm(const NormParts& norm, const Moments& moments,
                                         std::int64_t rows) const override {
    const at::Tensor scale = norm.weight.detach() * deviation(norm, moments);
    if (rows > 0) {
      const double unbiased = static_cast<double>(rows) / static_cast<double>(rows - 1);
      norm.running_mean.mul_(1.0 - norm.momentum).add_(moments.mean, norm.momentum);
      norm.running_variance.mul_(1.0 - norm.momentum).add_(moments.variance, norm.momentum * unbiased);
      norm.batches.add_(1);
    }
    return {.scale = scale, .shift = norm.bias.detach() - scale * moments.mean};
  }

  VectorGradients finish_norm(const NormParts& norm, const Moments& moments, const at::Tensor& sums, std::int64_t rows,
                              const Correction& correction) const override {
    const at::Tensor r = deviation(norm, moments);
    const at::Tensor share = norm.weight.detach() * r / static_cast<double>(rows);
    correction.p.sub_(share * sums[0]);
    correction.q.sub_(share * r * r * sums[1]);
    return {.weight = norm.weight.requires_grad() ? sums[1] * r : at::Tensor(),
            .bias = norm.bias.requires_grad() ? sums[0].clone() : at::Tensor()};
  }

 private:
  static at::Tensor to_matrix(const at::Tensor& images) { return densenet::engine::cuda::to_matrix(images); }
  static at::Tensor to_images(const at::Tensor& matrix, const Pixels& pixels) {
    return densenet::engine::cuda::to_images(matrix, pixels);
  }
  static at::Tensor before_relu(const at::Tensor& x, const NormVectors& norm) {
    return norm.scale * x.to(norm.scale.scalar_type()) + norm.shift;
  }
  static at::Tensor masked(const at::Tensor& x, const DropMask& mask) {
    return mask.defined() ? x * mask.bytes.to(x.scalar_type()) * mask.scale : x;
  }
  static at::Tensor deviation(const NormParts& norm, const Moments& moments) {
    return (moments.variance + norm.epsilon).rsqrt();
  }
  static void measure(const at::Tensor& x, const Moments& into) {
    const auto [variance, mean] = at::var_mean(x.to(at::kDouble), at::OptionalIntArrayRef({0}), 0);
    into.mean.copy_(mean);
    into.variance.copy_(variance);
  }
};
