#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "core/engine/geometry.h"
#include "core/engine/parts.h"
#include "core/engine/passes.h"

namespace densenet::engine::cuda {

/// The batch's mean and biased variance of channels, on the device. One serves every batch norm that reads the
/// channels.
struct Moments {
  at::Tensor mean;
  at::Tensor variance;

  Moments() = default;
  Moments(std::int64_t channels, const at::TensorOptions& options);

  [[nodiscard]] Moments part(std::int64_t first, std::int64_t channels) const;
};

/// A batch norm as it is applied: scale·x + shift.
struct NormVectors {
  at::Tensor scale;
  at::Tensor shift;
};

/// What batch norms subtract from a gradient: p + q·(x − mean) per channel.
struct Correction {
  at::Tensor p;
  at::Tensor q;

  Correction() = default;
  Correction(std::int64_t channels, const at::TensorOptions& options);

  [[nodiscard]] Correction part(std::int64_t first, std::int64_t channels) const;
};

/// The gradients of γ and β; each undefined where not wanted.
struct VectorGradients {
  at::Tensor weight;
  at::Tensor bias;
};

/// The passes of a block's operator on a device. Matrices are two-dimensional views, pixels by channels, whose columns
/// lie side by side; vectors are float (double beside a block of doubles). Implemented by the library of CUDA kernels
/// and, in tests, by plain ATen.
class Kernels {
 public:
  Kernels() = default;
  virtual ~Kernels() = default;
  Kernels(const Kernels&) = delete;
  Kernels& operator=(const Kernels&) = delete;
  Kernels(Kernels&&) = delete;
  Kernels& operator=(Kernels&&) = delete;

  /// Writes `x`, with dropout's mask where there is one, to `out`, which may be `x`, and measures what was written.
  virtual void append(const at::Tensor& x, const DropMask& mask, const at::Tensor& out, const Moments& into) const = 0;

  /// out = max(0, scale·x + shift)
  virtual void norm_relu(const at::Tensor& x, const NormVectors& norm, const at::Tensor& out) const = 0;

  /// The same, and of that the mean of each 2 × 2 pixels; a last odd row or column is left out.
  virtual void norm_relu_pool(const at::Tensor& x, const NormVectors& norm, const Pixels& pixels,
                              const at::Tensor& out) const = 0;

  /// With g = dy where the norm's output is above 0: gradient (+)= scale·g. The sums Σ g and Σ g·(x − mean) come back,
  /// for `finish_norm` only. `gradient` may be `dy`.
  virtual at::Tensor norm_relu_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                        const at::Tensor& mean, const at::Tensor& gradient, bool accumulate) const = 0;

  /// The same for the gradient of `norm_relu_pool`. `gradient` is written.
  virtual at::Tensor norm_relu_pool_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                             const at::Tensor& mean, const Pixels& pixels,
                                             const at::Tensor& gradient) const = 0;

  /// out = gradient + p + q·(x − mean), with dropout's mask where there is one. `out` may be `gradient`.
  virtual void correct(const at::Tensor& gradient, const at::Tensor& x, const Correction& correction,
                       const at::Tensor& mean, const DropMask& mask, const at::Tensor& out) const = 0;

  /// Scale and shift of a batch norm with these statistics; `rows` above 0 moves its running statistics towards them,
  /// the variance taken unbiased over that many values, and counts the batch.
  [[nodiscard]] virtual NormVectors prepare_norm(const NormParts& norm, const Moments& moments,
                                                 std::int64_t rows) const = 0;

  /// Takes what a batch norm subtracts off the correction, and gives its own gradients.
  virtual VectorGradients finish_norm(const NormParts& norm, const Moments& moments, const at::Tensor& sums,
                                      std::int64_t rows, const Correction& correction) const = 0;
};

/// The type of what is kept a channel beside a block of this type.
at::ScalarType vector_type(at::ScalarType type);

/// The kernels that run a block on a device; null where the block runs on the CPU's engine or module by module.
std::shared_ptr<const Kernels> kernels_for(const c10::Device& device);

/// Has every device, the CPU too, use these kernels; null ends it. For tests.
void use_kernels(std::shared_ptr<const Kernels> kernels);

}  // namespace densenet::engine::cuda
