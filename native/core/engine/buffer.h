#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <cstddef>
#include <cstdint>

namespace densenet::engine {

/// An uninitialised matrix. A large one comes straight from the system, on large pages where there are some: a small
/// page costs a fault every 4 KB. When it is freed, its thread keeps the memory for the next one of its size, since
/// clearing fresh pages takes a tenth of a training step; but a thread never holds more, in use and kept, than it once
/// had in use. Throws std::bad_alloc.
at::Tensor make_buffer(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options);

/// Bytes that the calling thread keeps for later.
[[nodiscard]] std::int64_t kept_buffers();

/// Gives them back to the system.
void release_buffers();

}  // namespace densenet::engine
