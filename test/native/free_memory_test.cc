/// Prints what free_memory and reachable_memory make of the system's files below a folder: `free_memory_test FOLDER`.

#include "core/runtime/free_memory.h"

#include <cinttypes>
#include <cstdio>

int main(int count, char** arguments) {
  if (count != 2) return 2;
  std::printf("%" PRId64 " %" PRId64 "\n", densenet::free_memory(arguments[1]),
              densenet::reachable_memory(arguments[1]));
  return 0;
}
