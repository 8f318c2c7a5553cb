#include "core/weights/crc32.h"

#include <array>
#include <bit>
#include <cstring>

namespace densenet {

namespace {

/// Eight bytes are taken at once, each through a table of its own ("slicing by eight").
constexpr std::size_t kSlices = 8;
constexpr std::uint32_t kPolynomial = 0xEDB88320;  // reflected

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) != 0 ? kPolynomial : 0U);
    tables[0][byte] = value;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8U) ^ tables[0][before & 0xFFU];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();
static_assert(std::endian::native == std::endian::little);

}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0xFFFFFFFF;
  while (bytes.size() >= kSlices) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= sum;
    sum = 0;
    for (std::size_t slice = 0; slice < kSlices; ++slice) {
      sum ^= kTables[kSlices - 1 - slice][(word >> (8 * slice)) & 0xFFU];
    }
    bytes = bytes.subspan(kSlices);
  }
  for (const std::byte byte : bytes)
    sum = (sum >> 8U) ^ kTables[0][(sum ^ std::to_integer<std::uint32_t>(byte)) & 0xFFU];
  return ~sum;
}

}  // namespace densenet
