#pragma once

#include "core/engine/cpu/elementwise.h"
#include "core/engine/cpu/max_pool.h"
#include "core/engine/cpu/product.h"
#include "core/engine/cpu/strip.h"
#include "core/engine/cpu/winograd.h"

namespace densenet::engine {

/// The kernels for one architecture. `Arch` names its shapes; it is a type of one file only, so that what is compiled
/// here with that file's flags can never stand in for another file's.
template <class Arch, class T>
inline constexpr Kernels<T> kKernelTable{
    .normalize = Elementwise<Arch, T>::normalize,
    .normalize_panels = Elementwise<Arch, T>::normalize_panels,
    .correct = Elementwise<Arch, T>::correct,
    .statistics = Elementwise<Arch, T>::statistics,
    .normalized_product = Product<Arch, T>::normalized,
    .product_backward = Product<Arch, T>::backward,
    .strip_product = Strip<Arch, T>::product,
    .strip_backward = Strip<Arch, T>::backward,
    .strip_weight = Strip<Arch, T>::weight,
    .winograd_input = Winograd<Arch, T>::input,
    .winograd_product = Winograd<Arch, T>::product,
    .winograd_output = Winograd<Arch, T>::output,
    .winograd_backward = Winograd<Arch, T>::backward,
    .winograd_gradient = Winograd<Arch, T>::gradient,
    .winograd_weight = Winograd<Arch, T>::weight,
    .winograd_transform = Winograd<Arch, T>::transform,
    .winograd_transform_backward = Winograd<Arch, T>::transform_backward,
    .pool = Elementwise<Arch, T>::pool,
    .pool_backward = Elementwise<Arch, T>::pool_backward,
    .max_pool = MaxPooling<Arch, T>::forward,
    .max_pool_backward = MaxPooling<Arch, T>::backward,
    .sums = Elementwise<Arch, T>::sums,
};

}  // namespace densenet::engine
