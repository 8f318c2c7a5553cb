#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace densenet {

/// The codes that native code reports; TypeScript's `ErrorCode` (lib/errors.ts) says what each means.
namespace code {
inline constexpr const char* kInvalidArgument = "ERR_INVALID_ARGUMENT";
inline constexpr const char* kNonFiniteInput = "ERR_NON_FINITE_INPUT";
inline constexpr const char* kLabelOutOfRange = "ERR_LABEL_OUT_OF_RANGE";
inline constexpr const char* kNonFiniteLoss = "ERR_NON_FINITE_LOSS";
inline constexpr const char* kDisposed = "ERR_DISPOSED";
inline constexpr const char* kCudaUnavailable = "ERR_CUDA_UNAVAILABLE";
inline constexpr const char* kOutOfMemory = "ERR_OUT_OF_MEMORY";
inline constexpr const char* kCudaOutOfMemory = "ERR_CUDA_OOM";
inline constexpr const char* kCudaPoisoned = "ERR_CUDA_POISONED";
inline constexpr const char* kFile = "ERR_FILE";
inline constexpr const char* kFileFormat = "ERR_FILE_FORMAT";
inline constexpr const char* kCheckpointMismatch = "ERR_CHECKPOINT_MISMATCH";
inline constexpr const char* kLocked = "ERR_LOCKED";
inline constexpr const char* kLibtorch = "ERR_LIBTORCH";
inline constexpr const char* kInternal = "ERR_INTERNAL";
}  // namespace code

/// An error of this package with a stable code. Everything else that is thrown is translated to one of these codes
/// where it leaves the core (see runtime/failure.h).
class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}

  [[nodiscard]] const char* code() const noexcept { return code_; }

 private:
  const char* code_;  // always one of the constants above, so never owned
};

}  // namespace densenet
