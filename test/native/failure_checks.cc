#include "failure_checks.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "core/error.h"
#include "core/runtime/failure.h"
#include "report.h"

#if __has_include(<oneapi/dnnl/dnnl_common.hpp>)
#include <oneapi/dnnl/dnnl_common.hpp>
#define DENSENET_HAS_ONEDNN 1
#endif

namespace {

/// Whether an exception gets a code, and a message that says `part`.
template <typename Exception>
void check(const std::string& what, const Exception& exception, const char* code, const std::string& part) {
  const densenet::Failure failure = densenet::describe_failure(std::make_exception_ptr(exception));
  report("the code of " + what, std::string(failure.code) == code);
  report("the words for " + what, failure.message.find(part) != std::string::npos);
}

c10::Error of_libtorch(const std::string& message) { return {c10::SourceLocation{__func__, __FILE__, 0}, message}; }

}  // namespace

void check_failures() {
  namespace code = densenet::code;
  check("an error of our own", densenet::Error(code::kFileFormat, "the file ends early"), code::kFileFormat, "early");
  check("libtorch's allocator", of_libtorch("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"),
        code::kOutOfMemory, "Use a smaller batch");
  check("a fault of the device", of_libtorch("CUDA error: an illegal memory access was encountered"),
        code::kCudaPoisoned, "start it again");
  check("another error of libtorch", of_libtorch("mat1 and mat2 shapes cannot be multiplied"), code::kLibtorch,
        "cannot be multiplied");
  check("memory that new lacks", std::bad_alloc(), code::kOutOfMemory, "no memory left");
  check("a thread that the system refuses",
        std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)), code::kOutOfMemory,
        "no thread");
  check("another error of the system", std::system_error(std::make_error_code(std::errc::io_error)), code::kInternal,
        "error");
  check("an error of C++", std::out_of_range("at 7"), code::kInternal, "at 7");
  check("what is no exception", 7, code::kInternal, "no std::exception");
#ifdef DENSENET_HAS_ONEDNN
  check("memory that oneDNN lacks", dnnl::error(dnnl_out_of_memory, "could not create a primitive"), code::kOutOfMemory,
        "could not create a primitive");
  check("another error of oneDNN", dnnl::error(dnnl_unimplemented, "could not create a primitive"), code::kLibtorch,
        "could not create a primitive");
#endif
}
