#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "core/weights/file.h"
#include "core/weights/file_piece.h"
#include "core/weights/tensor_entry.h"

namespace densenet {

/// Reads described tensors from a file, one at a time, into one buffer of the largest one's size.
class TensorReader {
 public:
  /// Checks every offset, length, shape and stride against the file, so that a hostile description is refused, never
  /// followed; allocates the buffer; and reads every range once, so that what could fail has failed when this returns.
  TensorReader(const std::string& path, std::span<const TensorEntry> entries);

  /// One of the entries given before, in the buffer: it holds until the next call.
  [[nodiscard]] at::Tensor read(const TensorEntry& entry) const;

 private:
  InputFile file_;
  at::Tensor buffer_;
};

/// Writes pieces in order; the file appears whole or not at all.
void write_pieces(const std::string& path, std::span<const FilePiece> pieces, std::span<const at::Tensor> tensors);

}  // namespace densenet
