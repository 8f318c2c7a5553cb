#include "core/engine/cuda/library.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <filesystem>

#include "core/error.h"
#include "platform/file.h"
#include "platform/shared_library.h"

namespace densenet::engine::cuda {

namespace {

int type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return kDensenetFloat;
    case at::kBFloat16:
      return kDensenetBFloat16;
    case at::kHalf:
      return kDensenetHalf;
    default:
      throw Error(code::kInternal, std::string("the CUDA kernels do not take ") + at::toString(tensor.scalar_type()));
  }
}

/// Scratch of so many floats. It may go back to the allocator at once: whoever gets it next is behind it on the stream.
at::Tensor scratch(std::int64_t length, const at::Tensor& beside) {
  return at::empty({length}, beside.options().dtype(at::kFloat));
}

float* floats(const at::Tensor& tensor) { return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr; }

const std::uint8_t* kept(const DropMask& mask) {
  return mask.defined() ? mask.bytes.const_data_ptr<std::uint8_t>() : nullptr;
}

}  // namespace

void* LibraryKernels::stream_of(const at::Tensor& tensor) const {
  if (tensor.is_cpu()) return nullptr;  // kernels that are emulated
  check(table_.use_device(tensor.device().index()), "use_device");
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return device.getStreamNativeHandle(device.getStream(tensor.device()));
}

void LibraryKernels::check(int error, const char* kernel) const {
  if (error == 0) return;
  // A launch reports whatever went wrong on the device before it, after which nothing works there.
  throw Error(code::kCudaPoisoned, std::string("CUDA error in ") + kernel + ": " + table_.describe_error(error) +
                                       ". The device cannot be used again by this process; start it again.");
}

void LibraryKernels::append(const at::Tensor& x, const DropMask& mask, const at::Tensor& out,
                            const Moments& into) const {
  const at::Tensor partial = scratch(table_.measure_scratch(x.size(0), x.size(1)), x);
  const DensenetMeasure task{.type = type_of(x),
                             .x = x.const_data_ptr(),
                             .ldx = x.stride(0),
                             .rows = x.size(0),
                             .channels = x.size(1),
                             .out = out.mutable_data_ptr(),
                             .ldo = out.stride(0),
                             .keep = kept(mask),
                             .keep_scale = static_cast<float>(mask.scale),
                             .partial = floats(partial),
                             .mean = floats(into.mean),
                             .variance = floats(into.variance)};
  check(table_.measure(&task, stream_of(x)), "measure");
}

void LibraryKernels::norm_relu(const at::Tensor& x, const NormVectors& norm, const at::Tensor& out) const {
  run_norm_relu(x, norm, nullptr, out);
}

void LibraryKernels::norm_relu_pool(const at::Tensor& x, const NormVectors& norm, const Pixels& pixels,
                                    const at::Tensor& out) const {
  run_norm_relu(x, norm, &pixels, out);
}

void LibraryKernels::run_norm_relu(const at::Tensor& x, const NormVectors& norm, const Pixels* pooled,
                                   const at::Tensor& out) const {
  const DensenetNormRelu task{.type = type_of(x),
                              .x = x.const_data_ptr(),
                              .ldx = x.stride(0),
                              .rows = x.size(0),
                              .channels = x.size(1),
                              .scale = floats(norm.scale),
                              .shift = floats(norm.shift),
                              .out = out.mutable_data_ptr(),
                              .ldo = out.stride(0),
                              .height = pooled == nullptr ? 0 : pooled->height,
                              .width = pooled == nullptr ? 0 : pooled->width};
  check(table_.norm_relu(&task, stream_of(x)), "norm_relu");
}

at::Tensor LibraryKernels::norm_relu_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                              const at::Tensor& mean, const at::Tensor& gradient,
                                              bool accumulate) const {
  return run_backward(dy, x, norm, mean, nullptr, gradient, accumulate);
}

at::Tensor LibraryKernels::norm_relu_pool_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                                   const at::Tensor& mean, const Pixels& pixels,
                                                   const at::Tensor& gradient) const {
  return run_backward(dy, x, norm, mean, &pixels, gradient, /*accumulate=*/false);
}

at::Tensor LibraryKernels::run_backward(const at::Tensor& dy, const at::Tensor& x, const NormVectors& norm,
                                        const at::Tensor& mean, const Pixels* pooled, const at::Tensor& gradient,
                                        bool accumulate) const {
  const at::Tensor partial = scratch(table_.sums_scratch(x.size(0), x.size(1)), x);
  const DensenetNormReluBackward task{.type = type_of(x),
                                      .dy = dy.const_data_ptr(),
                                      .ldy = dy.stride(0),
                                      .x = x.const_data_ptr(),
                                      .ldx = x.stride(0),
                                      .rows = x.size(0),
                                      .channels = x.size(1),
                                      .scale = floats(norm.scale),
                                      .shift = floats(norm.shift),
                                      .mean = floats(mean),
                                      .gradient = gradient.mutable_data_ptr(),
                                      .ldg = gradient.stride(0),
                                      .accumulate = accumulate ? 1 : 0,
                                      .partial = floats(partial),
                                      .height = pooled == nullptr ? 0 : pooled->height,
                                      .width = pooled == nullptr ? 0 : pooled->width};
  check(table_.norm_relu_backward(&task, stream_of(x)), "norm_relu_backward");
  return partial;
}

void LibraryKernels::correct(const at::Tensor& gradient, const at::Tensor& x, const Correction& correction,
                             const at::Tensor& mean, const DropMask& mask, const at::Tensor& out) const {
  const DensenetCorrect task{.type = type_of(x),
                             .gradient = gradient.const_data_ptr(),
                             .ldg = gradient.stride(0),
                             .x = x.const_data_ptr(),
                             .ldx = x.stride(0),
                             .rows = x.size(0),
                             .channels = x.size(1),
                             .p = floats(correction.p),
                             .q = floats(correction.q),
                             .mean = floats(mean),
                             .keep = kept(mask),
                             .keep_scale = static_cast<float>(mask.scale),
                             .out = out.mutable_data_ptr(),
                             .ldo = out.stride(0)};
  check(table_.correct(&task, stream_of(x)), "correct");
}

NormVectors LibraryKernels::prepare_norm(const NormParts& norm, const Moments& moments, std::int64_t rows) const {
  const NormVectors vectors{.scale = at::empty_like(moments.mean), .shift = at::empty_like(moments.mean)};
  const bool moves = rows > 0;
  const DensenetPrepareNorm task{.channels = moments.mean.size(0),
                                 .weight = norm.weight.const_data_ptr<float>(),
                                 .bias = norm.bias.const_data_ptr<float>(),
                                 .mean = floats(moments.mean),
                                 .variance = floats(moments.variance),
                                 .epsilon = static_cast<float>(norm.epsilon),
                                 .scale = floats(vectors.scale),
                                 .shift = floats(vectors.shift),
                                 .running_mean = moves ? floats(norm.running_mean) : nullptr,
                                 .running_variance = moves ? floats(norm.running_variance) : nullptr,
                                 .batches = moves ? norm.batches.mutable_data_ptr<std::int64_t>() : nullptr,
                                 .momentum = static_cast<float>(norm.momentum),
                                 .rows = rows};
  check(table_.prepare_norm(&task, stream_of(moments.mean)), "prepare_norm");
  if (moves) {
    // Written behind ATen's back, so it is told: whoever keeps something made from these tensors sees that they
    // changed.
    for (const at::Tensor& moved : {norm.running_mean, norm.running_variance, norm.batches}) {
      moved.unsafeGetTensorImpl()->bump_version();
    }
  }
  return vectors;
}

VectorGradients LibraryKernels::finish_norm(const NormParts& norm, const Moments& moments, const at::Tensor& sums,
                                            std::int64_t rows, const Correction& correction) const {
  VectorGradients gradients;
  if (norm.weight.requires_grad()) gradients.weight = at::empty_like(moments.mean);
  if (norm.bias.requires_grad()) gradients.bias = at::empty_like(moments.mean);
  const DensenetFinishNorm task{.rows = rows,
                                .channels = moments.mean.size(0),
                                .partial = floats(sums),
                                .weight = norm.weight.const_data_ptr<float>(),
                                .variance = floats(moments.variance),
                                .epsilon = static_cast<float>(norm.epsilon),
                                .weight_gradient = floats(gradients.weight),
                                .bias_gradient = floats(gradients.bias),
                                .p = floats(correction.p),
                                .q = floats(correction.q),
                                .accumulate = 1};
  check(table_.finish_norm(&task, stream_of(sums)), "finish_norm");
  return gradients;
}

namespace {

KernelLibrary open_library() {
  const std::string core = platform::library_of(reinterpret_cast<const void*>(&kernel_library));
  if (core.empty()) return {.kernels = nullptr, .reason = "the system does not say where the core lies"};
  const std::filesystem::path path = platform::path_of(core).replace_filename("densenet_cuda_kernels.so");
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return {.kernels = nullptr, .reason = path.string() + " was not built (it needs nvcc and a CUDA libtorch)"};
  }
  const platform::Opened opened = platform::open_library(path.string());
  if (opened.library == nullptr) return {.kernels = nullptr, .reason = opened.reason};
  const auto table_of =
      reinterpret_cast<const DensenetKernels* (*)()>(platform::find_symbol(opened.library, "densenet_cuda_kernels"));
  const DensenetKernels* table = table_of == nullptr ? nullptr : table_of();
  if (table == nullptr || table->version != kDensenetKernelsVersion) {
    return {.kernels = nullptr, .reason = path.string() + " belongs to another version of this package"};
  }
  return {.kernels = std::make_shared<LibraryKernels>(*table), .reason = {}};
}

}  // namespace

const KernelLibrary& kernel_library() {
  static const KernelLibrary library = open_library();
  return library;
}

}  // namespace densenet::engine::cuda
