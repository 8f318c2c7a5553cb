#include "core/engine/cpu/kernels.h"

#ifdef __AVX512F__

#include "core/engine/cpu/table.h"

namespace densenet::engine {

namespace {

/// 32 registers of 16 floats: a panel is one of them, and a row's value comes from memory with the multiplication.
struct Avx512 {
  using Line = Shape<float, 16, 1, 1>;
  using Full = Shape<float, 16, 1, 16>;
  using Half = Shape<float, 8, 1, 12>;
};

}  // namespace

const Kernels<float>* const detail::avx512_kernels = &kKernelTable<Avx512, float>;

}  // namespace densenet::engine

#else

const densenet::engine::Kernels<float>* const densenet::engine::detail::avx512_kernels = nullptr;

#endif
