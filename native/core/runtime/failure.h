#pragma once

#include <exception>
#include <string>

namespace densenet {

/// What went wrong, ready to become a `DenseNetError` in JavaScript.
struct Failure {
  const char* code;
  std::string message;
};

/// Translates any exception (ours, libtorch's, the standard library's) to a code and a message without a stack trace.
Failure describe_failure(const std::exception_ptr& exception) noexcept;

}  // namespace densenet
