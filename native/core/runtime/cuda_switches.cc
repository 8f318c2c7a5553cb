#include "core/runtime/cuda_switches.h"

#include <algorithm>
#include <cstdlib>

namespace densenet {

bool is_listed(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view one = list.substr(0, comma);
    if (one == name || one == "all") return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool is_switched_on(std::string_view name) {
  const char* list = std::getenv("LIBTORCH_DENSENET_CUDA");  // NOLINT(concurrency-mt-unsafe): we never set it
  return list == nullptr || is_listed(list, name);
}

}  // namespace densenet
