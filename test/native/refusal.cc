#include "refusal.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" {
extern char __executable_start;
extern char etext;
}

namespace {

std::atomic<bool> armed{false};
std::atomic<bool> refused{false};
std::atomic<long> left{0};
std::size_t smallest = 0;

/// What is taken by `new` below this is never refused: libtorch's templates take such pieces in destructors.
constexpr std::size_t kLarge = 4096;

bool refuse(std::size_t bytes) {
  if (!armed || bytes < smallest || --left != 0) return false;
  refused = true;
  return true;
}

/// Whether the code that an address lies in is this program's own, not a library's.
bool is_own(const void* address) {
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  return place >= reinterpret_cast<std::uintptr_t>(&__executable_start) &&
         place < reinterpret_cast<std::uintptr_t>(&etext);
}

void* take(std::size_t bytes, const void* caller) {
  if (bytes >= kLarge && is_own(caller) && refuse(bytes)) throw std::bad_alloc();
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

/// libtorch's own, but for the piece that is refused, as libtorch refuses it.
class RefusingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    TORCH_CHECK(!refuse(bytes), "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", bytes, " bytes");
    return plain_->allocate(bytes);
  }

  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return plain_->raw_deleter(); }

  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

 private:
  c10::Allocator* plain_ = c10::GetDefaultCPUAllocator();
};

}  // namespace

Refusal::Refusal(long nth, std::size_t least) {
  static RefusingAllocator allocator;
  static const bool installed = (c10::SetCPUAllocator(&allocator, /*priority=*/1), true);
  (void)installed;
  smallest = least;
  left = nth;
  refused = false;
  armed = true;
}

Refusal::~Refusal() { armed = false; }

bool Refusal::met() { return refused; }

extern "C" void* __real_mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset);

/// The linker puts it in the place of our own calls of mmap (`--wrap`, see CMakeLists.txt).
extern "C" void* __wrap_mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  if (refuse(bytes)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return __real_mmap(address, bytes, protection, flags, file, offset);
}

__attribute__((visibility("default"))) void* operator new(std::size_t bytes) {
  return take(bytes, __builtin_return_address(0));
}

__attribute__((visibility("default"))) void* operator new[](std::size_t bytes) {
  return take(bytes, __builtin_return_address(0));
}

__attribute__((visibility("default"))) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((visibility("default"))) void operator delete[](void* memory) noexcept { std::free(memory); }
__attribute__((visibility("default"))) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
__attribute__((visibility("default"))) void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
