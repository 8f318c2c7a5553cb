#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace densenet {

/// Element types of weight files, named as safetensors names them.
enum class FileDType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

/// Where a tensor lies in a file, as TypeScript's parser described it. Nothing here is trusted: reading checks it all.
struct TensorEntry {
  std::string name;
  FileDType dtype = FileDType::kF32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  ///< in elements
  std::uint64_t offset = 0;           ///< of the first byte, from the start of the file
  std::uint64_t bytes = 0;            ///< of the range that the elements lie in
  std::int64_t adapt_channels = 0;    ///< where not 0, filters O×3×H×W that are to have this many input channels
};

}  // namespace densenet
