#include "core/engine/cpu/table.h"

namespace densenet::engine {

namespace {

/// Vectors of 16 bytes, which every 64-bit processor has; the rows leave some of its 16 registers for the operands.
template <class T, int Lanes>
struct Portable {
  using Line = Shape<T, Lanes, 1, 1>;
  using Full = Shape<T, Lanes, kPanel / Lanes, std::int64_t{12} * Lanes / kPanel>;
  using Half = Shape<T, Lanes, kPanel / Lanes / 2, std::int64_t{24} * Lanes / kPanel>;
};

}  // namespace

namespace detail {
const Kernels<float>* const portable_kernels = &kKernelTable<Portable<float, 4>, float>;
const Kernels<double>* const portable_double_kernels = &kKernelTable<Portable<double, 2>, double>;
}  // namespace detail

}  // namespace densenet::engine
