#pragma once

#include <cstdint>
#include <vector>

namespace densenet::engine {

/// The instruction sets that the kernels are compiled for, each a superset of the one before.
enum class Isa : std::uint8_t {
  kPortable,  ///< what every processor of the architecture has
  kAvx2,      ///< AVX2 and FMA
  kAvx512,    ///< AVX-512 F, BW, DQ and VL
};

[[nodiscard]] const char* name_of(Isa isa);

/// Those that this processor runs and this build has kernels for, the best last.
[[nodiscard]] std::vector<Isa> supported_isas();

/// The one in use: the best supported one, unless `use_isa` chose another.
[[nodiscard]] Isa current_isa();

/// Chooses for the whole process; for tests and benchmarks. Not while an engine computes.
void use_isa(Isa isa);

}  // namespace densenet::engine
