#include "core/runtime/failure.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "core/error.h"

namespace densenet {

namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// libtorch has a class for CUDA's out-of-memory error only; the CPU allocator's is known by its message.
Failure describe_libtorch_error(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  if (contains(message, "DefaultCPUAllocator")) {
    return {.code = code::kOutOfMemory, .message = message + ". Use a smaller batch or smaller images."};
  }
  if (contains(message, "CUDA error")) {
    return {.code = code::kCudaPoisoned,
            .message = message + ". The device cannot be used again by this process; start it again."};
  }
  return {.code = code::kLibtorch, .message = message};
}

}  // namespace

Failure describe_failure(const std::exception_ptr& exception) noexcept {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {.code = error.code(), .message = error.what()};
  } catch (const c10::OutOfMemoryError& error) {
    return {.code = code::kCudaOutOfMemory,
            .message = std::string(error.what_without_backtrace()) + ". Use a smaller batch or smaller images."};
  } catch (const c10::Error& error) {
    return describe_libtorch_error(error);
  } catch (const std::bad_alloc&) {
    return {.code = code::kOutOfMemory, .message = "The machine has no memory left. Use a smaller batch."};
  } catch (const std::exception& error) {
    return {.code = code::kInternal, .message = error.what()};
  } catch (...) {
    return {.code = code::kInternal, .message = "Native code threw something that is no std::exception."};
  }
}

}  // namespace densenet
