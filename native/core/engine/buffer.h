#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <cstdint>

namespace densenet::engine {

/// An uninitialised matrix. A large one comes straight from the system and goes straight back, on large pages where
/// there are some: an allocator that keeps such memory for later holds more than any step needs, and a small page costs
/// a fault every 4 KB. Throws std::bad_alloc.
at::Tensor make_buffer(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options);

}  // namespace densenet::engine
