#pragma once

#include <type_traits>

#include "core/engine/cpu/tile.h"

/// The one-dimensional transforms of F(4, 3), each applied to columns and then to rows. Winograd's points are 0, 1, −1,
/// 1/2, −2 and infinity: the usual ±2 in place of 1/2 makes errors half as large again (Barabasz et al., "Error
/// Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020).
namespace densenet::engine {

/// Bᵀ: the input's side.
struct InputTransform {
  static constexpr int kFrom = 6;
  static constexpr int kTo = 6;

  template <class V, class At, class Put>
  DENSENET_INLINE static void apply(const At& at, const Put& put) {
    const V d1 = at(1);
    const V d2 = at(2);
    const V d3 = at(3);
    const V d4 = at(4);
    const V odd = d3 - d1;
    const V even = d4 - d2;
    const V sum = even + (1.5F * d3);
    const V difference = odd + (1.5F * d2);
    put(0, (at(0) - d2) + even + (1.5F * odd));
    put(1, sum + difference);
    put(2, sum - difference);
    put(3, even + (2.0F * odd));
    put(4, even - (0.5F * odd));
    put(5, (at(5) - d3) - odd + (1.5F * even));
  }
};

/// Aᵀ: from the products to the outputs.
struct OutputTransform {
  static constexpr int kFrom = 6;
  static constexpr int kTo = 4;

  template <class V, class At, class Put>
  DENSENET_INLINE static void apply(const At& at, const Put& put) {
    const V m1 = at(1);
    const V m2 = at(2);
    const V m3 = at(3);
    const V m4 = at(4);
    const V sum = m1 + m2;
    const V difference = m1 - m2;
    put(0, (at(0) + sum) + (m3 + m4));
    put(1, difference + (0.5F * m3) - (2.0F * m4));
    put(2, sum + (0.25F * m3) + (4.0F * m4));
    put(3, (difference + at(5)) + (0.125F * m3) - (8.0F * m4));
  }
};

/// A: the output's gradients.
struct GradientTransform {
  static constexpr int kFrom = 4;
  static constexpr int kTo = 6;

  template <class V, class At, class Put>
  DENSENET_INLINE static void apply(const At& at, const Put& put) {
    const V g0 = at(0);
    const V g1 = at(1);
    const V g2 = at(2);
    const V g3 = at(3);
    const V even = g0 + g2;
    const V odd = g1 + g3;
    put(0, g0);
    put(1, even + odd);
    put(2, even - odd);
    put(3, (g0 + (0.5F * g1)) + ((0.25F * g2) + (0.125F * g3)));
    put(4, (g0 - (2.0F * g1)) + ((4.0F * g2) - (8.0F * g3)));
    put(5, g3);
  }
};

/// G: the weights.
struct WeightTransform {
  static constexpr int kFrom = 3;
  static constexpr int kTo = 6;

  template <class V, class At, class Put>
  DENSENET_INLINE static void apply(const At& at, const Put& put) {
    using T = std::remove_cvref_t<decltype(V{}[0])>;
    constexpr T kThird = T{1} / T{3};
    constexpr T kFifteenth = T{1} / T{15};
    const V w0 = at(0);
    const V w1 = at(1);
    const V w2 = at(2);
    put(0, w0);
    put(1, kThird * ((w0 + w2) + w1));
    put(2, kThird * (w1 - (w0 + w2)));
    put(3, -(T{16} * kFifteenth) * (w0 + (0.5F * w1) + (0.25F * w2)));
    put(4, kFifteenth * (w0 - (2.0F * w1) + (4.0F * w2)));
    put(5, w2);
  }
};

/// Gᵀ: the weights' gradients.
struct WeightTransformBackward {
  static constexpr int kFrom = 6;
  static constexpr int kTo = 3;

  template <class V, class At, class Put>
  DENSENET_INLINE static void apply(const At& at, const Put& put) {
    using T = std::remove_cvref_t<decltype(V{}[0])>;
    constexpr T kThird = T{1} / T{3};
    constexpr T kFifteenth = T{1} / T{15};
    const V u1 = at(1);
    const V u2 = at(2);
    const V half = (T{16} * kFifteenth) * at(3);
    const V two = kFifteenth * at(4);
    const V difference = kThird * (u1 - u2);
    put(0, (at(0) + difference) - half + two);
    put(1, (kThird * (u1 + u2)) - (0.5F * half) - (2.0F * two));
    put(2, (at(5) + difference) - (0.25F * half) + (4.0F * two));
  }
};

/// Applies a transform to the columns of a square and then to its rows: at(row, column) gives, put(row, column, value)
/// takes, all indices constants.
template <class Transform, class V, class At, class Put>
DENSENET_INLINE void transform_square(const At& at, const Put& put) {
  constexpr int kFrom = Transform::kFrom;
  constexpr int kTo = Transform::kTo;
  V half_done[kTo][kFrom];
  unrolled<kFrom>([&](auto column) DENSENET_INLINE_LAMBDA {
    Transform::template apply<V>([&](int row) DENSENET_INLINE_LAMBDA { return at(row, column); },
                                 [&](int row, V value) DENSENET_INLINE_LAMBDA { half_done[row][column] = value; });
  });
  unrolled<kTo>([&](auto row) DENSENET_INLINE_LAMBDA {
    Transform::template apply<V>([&](int column) DENSENET_INLINE_LAMBDA { return half_done[row][column]; },
                                 [&](int column, V value) DENSENET_INLINE_LAMBDA { put(row, column, value); });
  });
}

}  // namespace densenet::engine
