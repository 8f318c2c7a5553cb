#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace densenet {

/// In which order an epoch goes over a data set.
enum class Order : std::uint8_t {
  kGiven,
  kShuffled,  ///< each image once, at random
  kBalanced,  ///< as many images, drawn with replacement so that every class is as probable as every other
};

/// The indices of an epoch's images; undefined for the given order. Draws on the CPU, as torch.randperm and
/// torch.multinomial (so WeightedRandomSampler) do.
/// @param labels N class indices
at::Tensor draw_order(Order order, const at::Tensor& labels, at::Generator& generator);

}  // namespace densenet
