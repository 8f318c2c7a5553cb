#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace densenet {

/// The CRC-32 of ZIP, gzip and PNG.
std::uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace densenet
