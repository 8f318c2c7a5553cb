#include "core/weights/tensor_file.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/weights/file.h"

namespace densenet {

namespace {

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

at::Tensor read_tensor(const InputFile& file, const TensorEntry& entry) {
  const at::ScalarType type = scalar_type(entry.dtype);
  const auto elements = static_cast<std::int64_t>(entry.bytes / c10::elementSize(type));
  at::Tensor const flat = at::empty({elements}, at::TensorOptions().dtype(type));
  file.read(entry.offset, {static_cast<std::byte*>(flat.mutable_data_ptr()), flat.nbytes()});
  return flat.as_strided(entry.shape, entry.strides);
}

}  // namespace

std::vector<at::Tensor> read_tensors(const std::string& path, std::span<const TensorEntry> entries) {
  const InputFile file(path);
  for (const TensorEntry& entry : entries) check_entry(file, entry);
  std::vector<at::Tensor> tensors;
  tensors.reserve(entries.size());
  for (const TensorEntry& entry : entries) tensors.push_back(read_tensor(file, entry));
  return tensors;
}

void write_tensors(const std::string& path, std::span<const std::byte> header, std::span<const at::Tensor> tensors) {
  AtomicFile file(path);
  file.write(header);
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    file.write({static_cast<const std::byte*>(plain.const_data_ptr()), plain.nbytes()});
  }
  file.commit();
}

}  // namespace densenet
