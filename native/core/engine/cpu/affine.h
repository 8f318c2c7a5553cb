#pragma once

#include <cstdint>

/// Batch norm as kernels take it.
namespace densenet::engine {

/// y = scale·(x − mean) + β of a batch norm, as scale·x + shift, per channel.
template <class T>
struct Affine {
  const T* scale;  ///< γ/√(σ²+ε)
  const T* shift;  ///< β − scale·mean
  const T* mean;
};

/// The backward pass of a batch norm and ReLU, as the end of a product whose result is the gradient g of the rectified
/// value: g is cleared where scale·x + shift ≤ 0, summed, and written as g, or added as scale·g.
template <class T>
struct NormBackward {
  const T* x;
  std::int64_t ldx;
  Affine<T> norm;
  T* out;
  std::int64_t ldo;
  bool accumulate;  ///< out += scale·g; otherwise out = g
  T* sum_g;         ///< Σ g, added to
  T* sum_gx;        ///< Σ g·(x − mean), added to
};

}  // namespace densenet::engine
