#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "core/weights/tensor_entry.h"

namespace densenet {

/// Reads the described tensors from a file. Every offset, length, shape and stride is checked against the file and
/// against its neighbours before anything is allocated, so that a hostile description is refused, never followed.
std::vector<at::Tensor> read_tensors(const std::string& path, std::span<const TensorEntry> entries);

/// Writes a header, and the tensors' bytes after it in order, row-major; the file appears whole or not at all.
void write_tensors(const std::string& path, std::span<const std::byte> header, std::span<const at::Tensor> tensors);

}  // namespace densenet
