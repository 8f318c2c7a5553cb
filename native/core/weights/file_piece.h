#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace densenet {

/// A piece of a file that is written. TypeScript lays the pieces out; the core knows no format.
struct FilePiece {
  enum class Kind : std::uint8_t {
    kBytes,     ///< as they are
    kTensor,    ///< a tensor's elements, row-major
    kChecksum,  ///< the CRC-32 of a tensor that was written before, four bytes, little-endian
  };
  Kind kind = Kind::kBytes;
  std::vector<std::byte> bytes;
  std::size_t tensor = 0;
};

}  // namespace densenet
