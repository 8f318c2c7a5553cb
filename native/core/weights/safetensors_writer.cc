#include "core/weights/safetensors_writer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <span>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/weights/file.h"
#include "core/weights/sha256.h"

namespace densenet {

namespace {

constexpr std::size_t kWriteBytes = std::size_t{1} << 20U;

const char* dtype_name(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return "F64";
    case at::kFloat:
      return "F32";
    case at::kHalf:
      return "F16";
    case at::kBFloat16:
      return "BF16";
    case at::kLong:
      return "I64";
    case at::kByte:
      return "U8";
    default:
      throw Error(code::kInternal, "a tensor of this type has no place in a checkpoint.");
  }
}

/// Names are the parts of modules and constants of this package: letters, digits, dots and underscores.
void describe(std::ostream& json, const std::string& name, const char* dtype, at::IntArrayRef shape, std::size_t from,
              std::size_t to) {
  json << ",\"" << name << R"(":{"dtype":")" << dtype << R"(","shape":[)";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) json << (axis > 0 ? "," : "") << shape[axis];
  json << R"(],"data_offsets":[)" << from << "," << to << "]}";
}

/// The start of the file: eight bytes of length and the JSON, padded so that the tensors begin at a multiple of 8.
std::string header_of(const std::string& metadata, const std::map<std::string, at::Tensor>& tensors) {
  std::ostringstream text;
  text << R"({"__metadata__":)" << metadata;
  std::size_t position = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t end = position + tensor.nbytes();
    describe(text, name, dtype_name(tensor.scalar_type()), tensor.sizes(), position, end);
    position = end;
  }
  describe(text, kDigestName, "U8", {std::int64_t{Sha256::kBytes}}, position, position + Sha256::kBytes);
  text << "}";
  std::string json = text.str();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string header(8, '\0');
  for (std::size_t index = 0; index < 8; ++index)
    header[index] = static_cast<char>((json.size() >> (8 * index)) & 0xffU);
  return header + json;
}

}  // namespace

bool is_verified(const std::string& path) {
  const InputFile file(path);
  if (file.size() < Sha256::kBytes) return false;
  const std::uint64_t end = file.size() - Sha256::kBytes;
  std::vector<std::byte> piece(kWriteBytes);
  Sha256 digest;
  for (std::uint64_t offset = 0; offset < end;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), end - offset));
    file.read(offset, std::span(piece).first(count));
    digest.add(std::span(piece).first(count));
    offset += count;
  }
  Sha256::Digest written{};
  file.read(end, written);
  return written == digest.finish();
}

void write_verified(const std::string& path, const std::string& metadata,
                    const std::map<std::string, at::Tensor>& tensors) {
  AtomicFile file(path);
  Sha256 digest;
  const auto write = [&](std::span<const std::byte> bytes) {
    digest.add(bytes);
    file.write(bytes);
  };
  const std::string header = header_of(metadata, tensors);
  write(std::as_bytes(std::span(header)));
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    write({static_cast<const std::byte*>(plain.const_data_ptr()), plain.nbytes()});
  }
  file.write(digest.finish());
  file.commit([&](const std::string& temporary) {
    if (is_verified(temporary)) return;
    throw Error(code::kFile, "what was written to " + path +
                                 " is not what is read from it: the disk, or the memory, is at fault. The file was "
                                 "not kept; save to another disk.");
  });
}

}  // namespace densenet
