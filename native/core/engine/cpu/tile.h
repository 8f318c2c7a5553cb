#pragma once

#include <cstdint>
#include <utility>

/// The part of a product that is held in registers. Everything here is expanded where it is used: what is left is
/// straight code over named registers. An array that is indexed by a loop variable would live in memory instead, at
/// less than half the speed, so the indices are template arguments.
namespace densenet::engine {

#define DENSENET_INLINE inline __attribute__((always_inline))
/// For a lambda between its parameters and its body. Compilers leave calls of lambdas when there are many, and a sum
/// that is passed to a call lives in memory.
#define DENSENET_INLINE_LAMBDA __attribute__((always_inline))

/// Vectors as gcc and clang know them: arithmetic works on them as on numbers.
template <class T, int Lanes>
struct VectorTypes {
  using Value = T;
  // An alias template would lose the attribute.
  typedef T Vector __attribute__((vector_size(Lanes * sizeof(T))));                                 // NOLINT
  typedef T Loose __attribute__((vector_size(Lanes * sizeof(T)), aligned(alignof(T)), may_alias));  // NOLINT
};

/// How a panel of `Lanes`·`Vectors` columns is held: `Rows` rows of it fit the registers.
template <class T, int Lanes_, int Vectors_, int Rows_>
struct Shape : VectorTypes<T, Lanes_> {
  static constexpr int kLanes = Lanes_;
  static constexpr int kVectors = Vectors_;
  static constexpr int kRows = Rows_;
  static constexpr int kWidth = Lanes_ * Vectors_;
};

template <int Count>
using Indices = std::make_integer_sequence<int, Count>;

/// Calls f(constant 0), f(constant 1), …
template <int Count, class F>
DENSENET_INLINE void unrolled(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>)
      DENSENET_INLINE_LAMBDA { (f(std::integral_constant<int, I>{}), ...); }(Indices<Count>{});
}

template <class S>
DENSENET_INLINE typename S::Vector load(const typename S::Value* from) {
  return *reinterpret_cast<const typename S::Loose*>(from);
}

template <class S>
DENSENET_INLINE void store(typename S::Value* to, typename S::Vector value) {
  *reinterpret_cast<typename S::Loose*>(to) = value;
}

/// max(0, value); NaN stays NaN, so that a loss that should be NaN does not look healthy.
template <class V>
DENSENET_INLINE V rectified(V value) {
  const V zero{};
  return zero > value ? zero : value;
}

/// `R` rows of a panel, in registers.
template <class S, int R>
class Tile {
 public:
  using T = typename S::Value;
  using Vector = typename S::Vector;

  DENSENET_INLINE Tile() {
    unrolled<R * S::kVectors>([&](auto i) DENSENET_INLINE_LAMBDA { sums_[i] = Vector{}; });
  }

  DENSENET_INLINE void read(const T* c, std::int64_t ldc) {
    each([&](auto row, auto vector, Vector& sum)
             DENSENET_INLINE_LAMBDA { sum = load<S>(c + (row * ldc) + (vector * S::kLanes)); });
  }

  DENSENET_INLINE void write(T* c, std::int64_t ldc) {
    each([&](auto row, auto vector, Vector& sum)
             DENSENET_INLINE_LAMBDA { store<S>(c + (row * ldc) + (vector * S::kLanes), sum); });
  }

  /// f(row, vector, sum) for every vector of the tile.
  template <class F>
  DENSENET_INLINE void each(const F& f) {
    unrolled<S::kVectors>([&](auto vector) DENSENET_INLINE_LAMBDA {
      unrolled<R>([&](auto row) DENSENET_INLINE_LAMBDA { f(row, vector, sums_[(row * S::kVectors) + vector]); });
    });
  }

  /// += A·B, A's rows `lda` apart, B packed.
  DENSENET_INLINE void multiply(const T* a, std::int64_t lda, const T* b, std::int64_t depth) {
    // A base for every three rows: an address is then base + {0, 1, 2}·lda, and few registers hold them all.
    constexpr int kBases = (R + 2) / 3;
    const T* bases[kBases];
    unrolled<kBases>([&](auto i) DENSENET_INLINE_LAMBDA { bases[i] = a + (3 * i * lda); });
    const auto row_value = [&](auto row, std::int64_t k)
                               DENSENET_INLINE_LAMBDA { return bases[row / 3][((row % 3) * lda) + k]; };
    const auto advance = [&](std::int64_t count) DENSENET_INLINE_LAMBDA {
      unrolled<kBases>([&](auto i) DENSENET_INLINE_LAMBDA { bases[i] += count; });
      b += count * S::kWidth;
    };
    std::int64_t k = 0;
    for (; k + 4 <= depth; k += 4) {
      unrolled<4>([&](auto u) DENSENET_INLINE_LAMBDA {
        add(b + (u * S::kWidth), [&](auto row) DENSENET_INLINE_LAMBDA { return row_value(row, u); });
      });
      advance(4);
    }
    for (; k < depth; ++k) {
      add(b, [&](auto row) DENSENET_INLINE_LAMBDA { return row_value(row, 0); });
      advance(1);
    }
  }

  /// += Σ over pixels of a ⊗ b: a's `R` values and b's panel of each pixel.
  DENSENET_INLINE void multiply_outer(const T* a, std::int64_t lda, const T* b, std::int64_t ldb, std::int64_t pixels) {
    std::int64_t pixel = 0;
    for (; pixel + 4 <= pixels; pixel += 4) {
      unrolled<4>([&](auto u) DENSENET_INLINE_LAMBDA {
        add(b + (u * ldb), [&](auto row) DENSENET_INLINE_LAMBDA { return a[(u * lda) + row]; });
      });
      a += 4 * lda;
      b += 4 * ldb;
    }
    for (; pixel < pixels; ++pixel) {
      add(b, [&](auto row) DENSENET_INLINE_LAMBDA { return a[static_cast<int>(row)]; });
      a += lda;
      b += ldb;
    }
  }

 private:
  template <class F>
  DENSENET_INLINE void add(const T* b, const F& value_of_row) {
    Vector panel[S::kVectors];
    unrolled<S::kVectors>([&](auto vector)
                              DENSENET_INLINE_LAMBDA { panel[vector] = load<S>(b + (vector * S::kLanes)); });
    unrolled<R>([&](auto row) DENSENET_INLINE_LAMBDA {
      const T value = value_of_row(row);
      unrolled<S::kVectors>(
          [&](auto vector) DENSENET_INLINE_LAMBDA { sums_[(row * S::kVectors) + vector] += value * panel[vector]; });
    });
  }

  Vector sums_[R * S::kVectors];
};

/// Splits `count` rows into nearly equal groups of at most Max and calls f(constant size, first row) for each.
template <int Max, class F>
DENSENET_INLINE void in_groups(std::int64_t count, const F& f) {
  const std::int64_t groups = (count + Max - 1) / Max;
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t first = count * group / groups;
    const std::int64_t size = (count * (group + 1) / groups) - first;
    unrolled<Max>([&](auto i) DENSENET_INLINE_LAMBDA {
      if (size == i + 1) f(std::integral_constant<int, i + 1>{}, first);
    });
  }
}

}  // namespace densenet::engine
