#pragma once

#include <cstddef>

/// While it lives, one piece of memory that anybody asks for is refused: the `nth`, from 1, of those of at least
/// `least` bytes. It counts the memory of tensors, the engine's large buffers (`mmap`), and what our own code takes by
/// `new`, from 4 KB on; not what libtorch's parts take besides, of which oneDNN for one does not look whether it got
/// it. One at a time.
class Refusal {
 public:
  explicit Refusal(long nth, std::size_t least = 64);
  ~Refusal();
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;
  Refusal(Refusal&&) = delete;
  Refusal& operator=(Refusal&&) = delete;

  /// Whether anything was refused yet.
  [[nodiscard]] static bool met();
};
