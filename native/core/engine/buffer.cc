#include "core/engine/buffer.h"

#include <ATen/ATen.h>

// Under AddressSanitizer each buffer is a piece of its own, with a guard on both sides, and gone when it is let go of.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define BUFFERS_ARE_KEPT 1
#else
#define BUFFERS_ARE_KEPT 0
#endif

#if BUFFERS_ARE_KEPT
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#endif

namespace densenet::engine {

#if BUFFERS_ARE_KEPT

namespace {

/// Smaller memory is malloc's. Above, a heap that is trimmed after each step and grown in the next spends a fifth of a
/// small network's step on fresh pages.
constexpr std::size_t kLarge = std::size_t{64} << 10U;

/// From here on a huge page is worth asking for.
constexpr std::size_t kHuge = std::size_t{4} << 20U;

/// So much may be used and kept together, or as much as was ever used at once: in a small network's step pieces of many
/// sizes take turns.
constexpr std::size_t kKept = std::size_t{32} << 20U;

/// A thread's large pieces of memory. A tensor may outlive its thread or be freed by another, hence the lock.
class Pieces {
 public:
  Pieces() = default;
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;
  Pieces(Pieces&&) = delete;
  Pieces& operator=(Pieces&&) = delete;
  ~Pieces() { release(); }

  void* take(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found = kept_.find(bytes);
    if (found != kept_.end()) {
      void* memory = found->second;
      kept_.erase(found);
      kept_bytes_ -= bytes;
      used_bytes_ += bytes;
      return memory;
    }
    most_used_ = std::max(most_used_, used_bytes_ + bytes);
    while (!kept_.empty() && used_bytes_ + kept_bytes_ + bytes > std::max(most_used_, kKept)) unmap(kept_.begin());
    void* memory = map(bytes);
    used_bytes_ += bytes;
    return memory;
  }

  /// Called where a tensor ends, so it must not fail: a piece that there is no memory to remember goes back.
  void give(void* memory, std::size_t bytes) noexcept {
    const std::scoped_lock lock(mutex_);
    used_bytes_ -= bytes;
    if (closed_ || !keep(memory, bytes)) munmap(memory, bytes);
  }

  void release() {
    const std::scoped_lock lock(mutex_);
    while (!kept_.empty()) unmap(kept_.begin());
    most_used_ = used_bytes_;
  }

  /// From now on nothing is kept: the thread ends.
  void close() {
    release();
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }

  [[nodiscard]] std::size_t kept_bytes() const {
    const std::scoped_lock lock(mutex_);
    return kept_bytes_;
  }

 private:
  using Kept = std::multimap<std::size_t, void*>;

  bool keep(void* memory, std::size_t bytes) noexcept {
    try {
      kept_.emplace(bytes, memory);
    } catch (const std::bad_alloc&) {
      return false;
    }
    kept_bytes_ += bytes;
    return true;
  }

  void unmap(Kept::iterator piece) {
    munmap(piece->second, piece->first);
    kept_bytes_ -= piece->first;
    kept_.erase(piece);
  }

  void* map(std::size_t bytes) {
    void* memory = try_map(bytes);
    if (memory == MAP_FAILED) {  // perhaps what is kept is in the way
      while (!kept_.empty()) unmap(kept_.begin());
      memory = try_map(bytes);
    }
    if (memory == MAP_FAILED) throw std::bad_alloc();
    if (bytes >= kHuge) madvise(memory, bytes, MADV_HUGEPAGE);  // advice: small pages serve too
    return memory;
  }

  static void* try_map(std::size_t bytes) {
    return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }

  mutable std::mutex mutex_;
  Kept kept_;
  std::size_t kept_bytes_ = 0;
  std::size_t used_bytes_ = 0;
  std::size_t most_used_ = 0;
  bool closed_ = false;
};

/// A thread's hold on its pieces, which the tensors share.
class PiecesOfThread {
 public:
  PiecesOfThread() = default;
  PiecesOfThread(const PiecesOfThread&) = delete;
  PiecesOfThread& operator=(const PiecesOfThread&) = delete;
  PiecesOfThread(PiecesOfThread&&) = delete;
  PiecesOfThread& operator=(PiecesOfThread&&) = delete;
  ~PiecesOfThread() { pieces_->close(); }

  [[nodiscard]] const std::shared_ptr<Pieces>& get() const { return pieces_; }

 private:
  std::shared_ptr<Pieces> pieces_ = std::make_shared<Pieces>();
};

const std::shared_ptr<Pieces>& pieces() {
  thread_local const PiecesOfThread own;
  return own.get();
}

}  // namespace

at::Tensor make_buffer(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options) {
  const std::size_t bytes = static_cast<std::size_t>(rows * columns) * options.dtype().itemsize();
  if (bytes < kLarge || !options.device().is_cpu()) return at::empty({rows, columns}, options);
  const std::shared_ptr<Pieces>& own = pieces();
  // Whatever fails below, it is given back, and once.
  const std::shared_ptr<void> memory(own->take(bytes), [own, bytes](void* piece) { own->give(piece, bytes); });
  return at::from_blob(memory.get(), {rows, columns}, [memory](void*) {}, options);
}

std::int64_t kept_buffers() { return static_cast<std::int64_t>(pieces()->kept_bytes()); }

void release_buffers() { pieces()->release(); }

#else

at::Tensor make_buffer(std::int64_t rows, std::int64_t columns, const at::TensorOptions& options) {
  return at::empty({rows, columns}, options);
}

std::int64_t kept_buffers() { return 0; }

void release_buffers() {}

#endif

}  // namespace densenet::engine
