#include "core/runtime/tensor_copy.h"

#include <ATen/ATen.h>

#include <cstring>

#include "core/error.h"

namespace densenet {

namespace {

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return at::kFloat;
    case DType::kFloat64:
      return at::kDouble;
    case DType::kUInt8:
      return at::kByte;
    case DType::kInt32:
      return at::kInt;
    case DType::kInt64:
      return at::kLong;
  }
  throw Error(code::kInternal, "A host tensor has an unknown element type.");
}

/// The type in which JavaScript sees a tensor of this type.
DType host_type(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return DType::kFloat64;
    case at::kByte:
    case at::kBool:
      return DType::kUInt8;
    case at::kInt:
      return DType::kInt32;
    case at::kLong:
      return DType::kInt64;
    default:
      return DType::kFloat32;
  }
}

}  // namespace

at::Tensor view_of(const HostTensor& host) {
  // from_blob wants a mutable pointer; nothing here writes through it.
  return at::from_blob(
      host.data.get(), host.shape, [keep = host.data](void*) {}, at::TensorOptions().dtype(scalar_type(host.dtype)));
}

HostTensor copy_to_host(const at::Tensor& tensor) {
  HostTensor host;
  host.dtype = host_type(tensor.scalar_type());
  host.shape = tensor.sizes().vec();
  const at::Tensor source = tensor.detach().to(at::kCPU, scalar_type(host.dtype)).contiguous();
  host.bytes = source.nbytes();
  host.data = std::make_shared_for_overwrite<std::byte[]>(host.bytes);  // NOLINT(modernize-avoid-c-arrays)
  if (host.bytes > 0) std::memcpy(host.data.get(), source.const_data_ptr(), host.bytes);
  return host;
}

}  // namespace densenet
