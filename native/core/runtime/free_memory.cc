#include "core/runtime/free_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace densenet {

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// The value of a line such as `MemAvailable: 123 kB` or `inactive_file 123`.
std::int64_t value_of(const std::string& path, const std::string& wanted) {
  std::ifstream file(path);
  std::string key;
  std::int64_t value = 0;
  std::string rest;
  while (file >> key >> value) {
    if (key == wanted) return value;
    std::getline(file, rest);
  }
  return 0;
}

/// The number that a file begins with; nothing for none, as in `max`.
std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

/// What a control group, and each that it lies in, leaves.
std::int64_t left_in_groups(const std::string& mount, std::string group, const char* limit_name,
                            const char* usage_name) {
  std::int64_t left = kUnlimited;
  while (true) {
    const std::string folder = mount + group + "/";
    const std::optional<std::int64_t> limit = number_in(folder + limit_name);
    const std::optional<std::int64_t> usage = number_in(folder + usage_name);
    if (limit && usage) {
      // Pages of files that nobody uses count as used, and go when memory is wanted.
      const std::int64_t used = std::max<std::int64_t>(0, *usage - value_of(folder + "memory.stat", "inactive_file"));
      left = std::min(left, std::max<std::int64_t>(0, *limit - used));
    }
    if (group.empty()) return left;
    group.resize(group == "/" ? 0 : group.find_last_of('/'));
  }
}

std::int64_t left_to_container(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::int64_t left = kUnlimited;
  std::string line;
  while (std::getline(file, line)) {  // such as `0::/user.slice` or `4:memory:/docker/0123`
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") {
      left = std::min(left, left_in_groups(root + "/sys/fs/cgroup", group, "memory.max", "memory.current"));
    } else if (controllers.find(",memory,") != std::string::npos) {
      left = std::min(left, left_in_groups(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                                           "memory.usage_in_bytes"));
    }
  }
  return left;
}

std::int64_t left_to_process() {
#ifdef __linux__
  // Pages: all, resident, shared, code, unused, data and stack.
  std::ifstream file("/proc/self/statm");
  std::int64_t all = 0;
  std::int64_t data = 0;
  std::int64_t other = 0;
  if (!(file >> all >> other >> other >> other >> other >> data)) return kUnlimited;
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  const auto left_of = [&](auto resource, std::int64_t pages) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur > static_cast<rlim_t>(kUnlimited)) return kUnlimited;
    return std::max<std::int64_t>(0, static_cast<std::int64_t>(limit.rlim_cur) - (pages * page));
  };
  return std::min(left_of(RLIMIT_AS, all), left_of(RLIMIT_DATA, data));
#else
  return kUnlimited;
#endif
}

std::int64_t least(std::int64_t machine, const std::string& root) {
  const std::int64_t left = std::min({machine == 0 ? kUnlimited : machine, left_to_container(root), left_to_process()});
  // 0 would say that nothing is known.
  return left == kUnlimited ? 0 : std::max<std::int64_t>(1, left);
}

}  // namespace

std::int64_t free_memory(const std::string& root) {
  return least(value_of(root + "/proc/meminfo", "MemAvailable:") * 1024, root);
}

std::int64_t reachable_memory(const std::string& root) {
  const std::string meminfo = root + "/proc/meminfo";
  return least((value_of(meminfo, "MemAvailable:") + value_of(meminfo, "SwapFree:")) * 1024, root);
}

}  // namespace densenet
