#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace densenet::engine {

/// Memory of at least `size` elements that this thread keeps for its passes, which run one after the other: to take a
/// megabyte anew for each would cost more in fresh pages than in work. What is in it is undefined.
template <class T>
T* scratch_memory(std::int64_t size) {
  constexpr std::size_t kLine = 64;
  thread_local std::unique_ptr<std::byte[]> memory;  // NOLINT(*-avoid-c-arrays)
  thread_local std::size_t length = 0;
  const std::size_t wanted = (static_cast<std::size_t>(size) * sizeof(T)) + kLine;
  if (length < wanted) {
    memory.reset();
    length = 0;
    memory = std::make_unique_for_overwrite<std::byte[]>(wanted);  // NOLINT(*-avoid-c-arrays)
    length = wanted;
  }
  void* start = memory.get();
  std::size_t room = length;
  return static_cast<T*>(std::align(kLine, wanted - kLine, start, room));
}

}  // namespace densenet::engine
