#pragma once

#include <string>

#include "core/engine/cuda/kernels.h"
#include "cuda/kernels.h"

namespace densenet::engine::cuda {

/// The kernels behind a table of the library's (native/cuda/kernels.h).
class LibraryKernels final : public Kernels {
 public:
  explicit LibraryKernels(const DensenetKernels& table) : table_(table) {}

  void append(const at::Tensor& x, const DropMask& mask, const at::Tensor& out, const Moments& into) const override;
  void norm_relu(const at::Tensor& x, const NormVectors& norm, const at::Tensor& out) const override;
  void norm_relu_pool(const at::Tensor& x, const NormVectors& norm, const Pixels& pixels,
                      const at::Tensor& out) const override;
  at::Tensor norm_relu_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                const at::Tensor& mean, const at::Tensor& gradient, bool accumulate) const override;
  at::Tensor norm_relu_pool_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                     const at::Tensor& mean, const Pixels& pixels,
                                     const at::Tensor& gradient) const override;
  void correct(const at::Tensor& gradient, const at::Tensor& x, const Correction& correction, const at::Tensor& mean,
               const DropMask& mask, const at::Tensor& out) const override;
  [[nodiscard]] NormVectors prepare_norm(const NormParts& norm, const Moments& moments,
                                         std::int64_t rows) const override;
  VectorGradients finish_norm(const NormParts& norm, const Moments& moments, const at::Tensor& sums, std::int64_t rows,
                              const Correction& correction) const override;

 private:
  /// Makes the tensor's device this thread's and gives its current stream.
  [[nodiscard]] void* stream_of(const at::Tensor& tensor) const;
  void check(int error, const char* kernel) const;
  /// `pooled`: the pixels of x where the pass pools; null where it does not.
  void run_norm_relu(const at::Tensor& x, const NormVectors& norm, const Pixels* pooled, const at::Tensor& out) const;
  at::Tensor run_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm, const at::Tensor& mean,
                          const Pixels* pooled, const at::Tensor& gradient, bool accumulate) const;

  const DensenetKernels& table_;
};

/// The library that lies beside the core, opened once; null with a reason where there is none or it cannot be used.
struct KernelLibrary {
  std::shared_ptr<const Kernels> kernels;
  std::string reason;
};
const KernelLibrary& kernel_library();

}  // namespace densenet::engine::cuda
