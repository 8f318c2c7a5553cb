#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace densenet {

/// The element types that cross between JavaScript and the core.
enum class DType : std::uint8_t { kFloat32, kFloat64, kUInt8, kInt32, kInt64 };

/// Bytes an element takes in memory.
constexpr std::size_t element_size(DType dtype) {
  switch (dtype) {
    case DType::kUInt8:
      return 1;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
  }
  return 1;
}

/// A tensor in ordinary memory, row-major. It owns its bytes, so that it may outlive the JavaScript array it came from.
struct HostTensor {
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::shared_ptr<std::byte[]> data;  // NOLINT(modernize-avoid-c-arrays): the standard's way to own an array
  std::size_t bytes = 0;
};

struct NamedTensor {
  std::string name;
  HostTensor tensor;
};

}  // namespace densenet
