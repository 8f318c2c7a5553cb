/// Threads for the core's parallel loops that a sanitizer understands. GCC's OpenMP is not instrumented, so with it
/// ThreadSanitizer sees neither the start of a parallel region nor its end, and takes all that the loops do for races.
/// In a build with `thread` the linker puts these in the place of the few entries that our own code calls (`--wrap`,
/// see CMakeLists.txt); libtorch keeps OpenMP, with one thread (OMP_NUM_THREADS=1), which needs no others.

#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 3;

thread_local int number = 0;
thread_local int team = 1;

}  // namespace

extern "C" {

void __wrap_GOMP_parallel(void (*work)(void*), void* data, unsigned /*threads*/, unsigned /*flags*/) {
  std::vector<std::thread> others;
  others.reserve(kThreads - 1);
  for (int index = 1; index < kThreads; ++index) {
    others.emplace_back([work, data, index] {
      number = index;
      team = kThreads;
      work(data);
    });
  }
  team = kThreads;
  work(data);
  team = 1;
  for (std::thread& one : others) one.join();
}

int __wrap_omp_get_num_threads() { return team; }

int __wrap_omp_get_thread_num() { return number; }

/// at::get_num_threads()
int __wrap__ZN2at15get_num_threadsEv() { return kThreads; }

/// at::set_num_threads(int), which would give libtorch threads that the sanitizer cannot follow
void __wrap__ZN2at15set_num_threadsEi(int /*threads*/) {}

}  // extern "C"
