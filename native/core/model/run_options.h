#pragma once

#include <cstdint>

namespace densenet {

/// How a network computes, which changes no number beyond rounding.
enum class Implementation : std::uint8_t {
  kAuto,       ///< the engine, and module by module what it does not cover
  kReference,  ///< module by module
};

/// What the engine keeps of the forward pass for the backward pass.
enum class MemoryMode : std::uint8_t {
  kAuto,       ///< fast where the free memory allows it
  kFast,       ///< the outputs of the 1×1 convolutions too
  kEfficient,  ///< the blocks only; the 1×1 convolutions are done again
};

struct RunOptions {
  Implementation implementation = Implementation::kAuto;
  MemoryMode memory = MemoryMode::kAuto;
};

}  // namespace densenet
