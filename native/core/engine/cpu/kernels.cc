#include "core/engine/cpu/kernels.h"

#include <atomic>

namespace densenet::engine {

namespace {

bool processor_has(Isa isa) {
#if defined(__x86_64__) && defined(__GNUC__)
  switch (isa) {
    case Isa::kPortable:
      return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return isa == Isa::kPortable;
}

const Kernels<float>* kernels_of(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return detail::portable_kernels;
    case Isa::kAvx2:
      return detail::avx2_kernels;
    case Isa::kAvx512:
      return detail::avx512_kernels;
  }
  return detail::portable_kernels;
}

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa{supported_isas().back()};
  return isa;
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kAvx2:
      return "AVX2";
    case Isa::kAvx512:
      return "AVX-512";
  }
  return "";
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (kernels_of(isa) != nullptr && processor_has(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa current_isa() { return chosen(); }

void use_isa(Isa isa) { chosen() = isa; }

template <>
const Kernels<float>& kernels<float>() {
  return *kernels_of(current_isa());
}

template <>
const Kernels<double>& kernels<double>() {
  return *detail::portable_double_kernels;
}

}  // namespace densenet::engine
