#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace densenet {

/// SHA-256 (FIPS 180-4) of bytes that come piece by piece.
class Sha256 {
 public:
  static constexpr std::size_t kBytes = 32;
  using Digest = std::array<std::byte, kBytes>;

  void add(std::span<const std::byte> bytes);

  /// Of all that was added; nothing is added after.
  Digest finish();

 private:
  static constexpr std::size_t kBlock = 64;

  void add_block(const std::byte* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, kBlock> rest_{};
  std::uint64_t length_ = 0;  // bytes so far
};

}  // namespace densenet
