#pragma once

#include <cstdint>
#include <string>

namespace densenet {

/// Memory that this process could still take, in bytes; 0 where the system does not say. The least of what the machine
/// has left, what the control groups of a container leave (both versions of them), and what the process's own limits
/// (`ulimit -v`, `ulimit -d`) do.
///
/// @param root Where the system's files lie, for tests; empty for the system's own.
std::int64_t free_memory(const std::string& root = {});

/// The same with the machine's swap, which is slow but there: what is beyond this cannot be had at all.
std::int64_t reachable_memory(const std::string& root = {});

}  // namespace densenet
