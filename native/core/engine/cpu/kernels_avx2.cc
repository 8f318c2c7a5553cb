#include "core/engine/cpu/kernels.h"

#ifdef __AVX2__

#include "core/engine/cpu/table.h"

namespace densenet::engine {

namespace {

/// 16 registers of 8 floats: twelve sums, two of the panel, one of the row's value.
struct Avx2 {
  using Line = Shape<float, 8, 1, 1>;
  using Full = Shape<float, 8, 2, 6>;
  using Half = Shape<float, 8, 1, 12>;
};

}  // namespace

const Kernels<float>* const detail::avx2_kernels = &kKernelTable<Avx2, float>;

}  // namespace densenet::engine

#else

const densenet::engine::Kernels<float>* const densenet::engine::detail::avx2_kernels = nullptr;

#endif
