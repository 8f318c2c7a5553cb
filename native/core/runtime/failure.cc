#include "core/runtime/failure.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>
#include <system_error>

#if __has_include(<oneapi/dnnl/dnnl_common.hpp>)
#include <oneapi/dnnl/dnnl_common.hpp>
#define DENSENET_HAS_ONEDNN 1
#endif

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

#ifdef DENSENET_HAS_ONEDNN
/// libtorch lets oneDNN's own errors through, which say in words only what was to be done.
Failure describe_onednn_error(const dnnl::error& error) {
  if (error.status == dnnl_out_of_memory) {
    return {.code = code::kOutOfMemory,
            .message = std::string("The memory ran out in libtorch's oneDNN (") + error.what() +
                       "). Use a smaller batch or smaller images."};
  }
  return {.code = code::kLibtorch,
          .message = std::string("oneDNN: ") + error.what() + " (status " + std::to_string(error.status) + ")"};
}
#endif

/// The system refuses a thread for want of memory, or of room in its table, with the same number.
Failure describe_system_error(const std::system_error& error) {
  if (error.code() == std::errc::not_enough_memory || error.code() == std::errc::resource_unavailable_try_again) {
    return {.code = code::kOutOfMemory,
            .message = std::string("The system has no memory, or no thread, left: ") + error.what() + "."};
  }
  return {.code = code::kInternal, .message = error.what()};
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
#ifdef DENSENET_HAS_ONEDNN
  } catch (const dnnl::error& error) {
    return describe_onednn_error(error);
#endif
  } catch (const std::system_error& error) {
    return describe_system_error(error);
  } catch (const std::exception& error) {
    return {.code = code::kInternal, .message = error.what()};
  } catch (...) {
    return {.code = code::kInternal, .message = "Native code threw something that is no std::exception."};
  }
}

}  // namespace densenet
