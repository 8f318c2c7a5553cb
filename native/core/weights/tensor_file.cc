#include "core/weights/tensor_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "core/weights/crc32.h"

namespace densenet {

namespace {

/// Of a file that is read only to know that it can be.
constexpr std::size_t kReadBytes = std::size_t{1} << 20U;

at::ScalarType scalar_type(FileDType dtype) {
  switch (dtype) {
    case FileDType::kF64:
      return at::kDouble;
    case FileDType::kF32:
      return at::kFloat;
    case FileDType::kF16:
      return at::kHalf;
    case FileDType::kBF16:
      return at::kBFloat16;
    case FileDType::kI64:
      return at::kLong;
    case FileDType::kI32:
      return at::kInt;
    case FileDType::kI16:
      return at::kShort;
    case FileDType::kI8:
      return at::kChar;
    case FileDType::kU8:
      return at::kByte;
    case FileDType::kBool:
      return at::kBool;
  }
  throw Error(code::kInternal, "A tensor entry has an unknown element type.");
}

[[noreturn]] void refuse(const InputFile& file, const TensorEntry& entry, const char* fault) {
  throw Error(code::kFileFormat, file.path() + ": tensor " + entry.name + " " + fault + ".");
}

/// a·b, refused where it does not fit; both are at least 0.
std::uint64_t checked_product(std::uint64_t a, std::uint64_t b, const InputFile& file, const TensorEntry& entry) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) refuse(file, entry, "has a shape too large to be true");
  return product;
}

/// Checks that every element that shape and strides reach lies in the entry's range, and that range in the file.
void check_entry(const InputFile& file, const TensorEntry& entry) {
  if (entry.shape.size() != entry.strides.size()) refuse(file, entry, "has not one stride for each axis");
  if (entry.offset > file.size() || entry.bytes > file.size() - entry.offset) {
    refuse(file, entry, "lies outside the file");
  }
  const std::uint64_t element = c10::elementSize(scalar_type(entry.dtype));
  std::uint64_t count = 1;
  std::uint64_t last = 0;  // the furthest element from the first
  for (std::size_t axis = 0; axis < entry.shape.size(); ++axis) {
    if (entry.shape[axis] < 0 || entry.strides[axis] < 0) refuse(file, entry, "has a negative length or stride");
    const auto length = static_cast<std::uint64_t>(entry.shape[axis]);
    count = checked_product(count, length, file, entry);
    if (length == 0) continue;
    const auto reach = checked_product(length - 1, static_cast<std::uint64_t>(entry.strides[axis]), file, entry);
    if (__builtin_add_overflow(last, reach, &last)) refuse(file, entry, "has strides too large to be true");
  }
  const std::uint64_t needed = count == 0 ? 0 : checked_product(last + 1, element, file, entry);
  if (needed > entry.bytes) refuse(file, entry, "reaches past its range of the file");
  // A stride of 0 would let a few bytes stand for a tensor of any size.
  if (checked_product(count, element, file, entry) > entry.bytes) refuse(file, entry, "repeats its bytes");
}

/// The entry's bytes that elements lie in: whole ones only, none for a tensor without elements.
std::size_t used_bytes(const TensorEntry& entry) {
  const std::size_t element = c10::elementSize(scalar_type(entry.dtype));
  return static_cast<std::size_t>(entry.bytes) / element * element;
}

/// Reads a range for no other reason than to know that it can be read.
void try_range(const InputFile& file, std::uint64_t offset, std::uint64_t bytes, std::span<std::byte> buffer) {
  while (bytes > 0) {
    const auto piece = std::min<std::uint64_t>(bytes, buffer.size());
    file.read(offset, buffer.first(static_cast<std::size_t>(piece)));
    offset += piece;
    bytes -= piece;
  }
}

}  // namespace

TensorReader::TensorReader(const std::string& path, std::span<const TensorEntry> entries) : file_(path) {
  std::size_t largest = 0;
  for (const TensorEntry& entry : entries) {
    check_entry(file_, entry);
    largest = std::max(largest, used_bytes(entry));
  }
  buffer_ = at::empty({static_cast<std::int64_t>(largest)}, at::TensorOptions().dtype(at::kByte));
  std::vector<std::byte> piece(kReadBytes);
  for (const TensorEntry& entry : entries) try_range(file_, entry.offset, entry.bytes, piece);
}

at::Tensor TensorReader::read(const TensorEntry& entry) const {
  const std::size_t bytes = used_bytes(entry);
  const at::ScalarType type = scalar_type(entry.dtype);
  if (std::ranges::find(entry.shape, 0) != entry.shape.end()) return at::empty(entry.shape, type);
  file_.read(entry.offset, {static_cast<std::byte*>(buffer_.mutable_data_ptr()), bytes});
  const at::Tensor flat = buffer_.narrow(0, 0, static_cast<std::int64_t>(bytes)).view(type);
  return flat.as_strided(entry.shape, entry.strides);
}

void write_pieces(const std::string& path, std::span<const FilePiece> pieces, std::span<const at::Tensor> tensors) {
  std::unordered_map<std::size_t, std::optional<std::uint32_t>> checksums;  // of the tensors that need one
  for (const FilePiece& piece : pieces) {
    if (piece.kind == FilePiece::Kind::kBytes) continue;
    if (piece.tensor >= tensors.size())
      throw Error(code::kInternal, "a piece of a file names a tensor that is not there.");
    if (piece.kind == FilePiece::Kind::kChecksum) checksums.emplace(piece.tensor, std::nullopt);
  }
  AtomicFile file(path);
  for (const FilePiece& piece : pieces) {
    if (piece.kind == FilePiece::Kind::kBytes) {
      file.write(piece.bytes);
    } else if (piece.kind == FilePiece::Kind::kTensor) {
      const at::Tensor plain = tensors[piece.tensor].detach().to(at::kCPU).contiguous();
      const std::span<const std::byte> bytes{static_cast<const std::byte*>(plain.const_data_ptr()), plain.nbytes()};
      file.write(bytes);
      const auto checksum = checksums.find(piece.tensor);
      if (checksum != checksums.end()) checksum->second = crc32(bytes);
    } else {
      const std::optional<std::uint32_t> checksum = checksums.at(piece.tensor);
      if (!checksum) throw Error(code::kInternal, "a tensor's checksum is written before the tensor.");
      file.write(std::as_bytes(std::span(&*checksum, 1)));
    }
  }
  file.commit();
}

}  // namespace densenet
