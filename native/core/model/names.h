#pragma once

#include <string>

namespace densenet {

/// Whether a dotted name is `prefix` or lies below it; everything lies below the empty prefix.
inline bool is_below(const std::string& name, const std::string& prefix) {
  return prefix.empty() || name == prefix || name.starts_with(prefix + ".");
}

}  // namespace densenet
