#include "core/engine/buffer.h"

#include <ATen/ATen.h>

#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace densenet::engine {

#ifdef __linux__

namespace {

constexpr std::size_t kLarge = std::size_t{4} << 20U;

void* map_memory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);  // advice: small pages serve too
  return memory;
}

}  // namespace

#endif

at::Tensor make_buffer(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options) {
#ifdef __linux__
  const std::size_t bytes = static_cast<std::size_t>(rows * columns) * options.dtype().itemsize();
  if (bytes >= kLarge && options.device().is_cpu()) {
    void* memory = map_memory(bytes);
    return at::from_blob(memory, {rows, columns}, [bytes](void* mapped) { munmap(mapped, bytes); }, options);
  }
#endif
  return at::empty({rows, columns}, options);
}

}  // namespace densenet::engine
