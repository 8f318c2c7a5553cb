#pragma once

#include "core/engine/block.h"

namespace densenet::engine {

/// The part of the operator after the block, on its whole buffer.
template <class T>
at::Tensor tail_forward(const TailParts& tail, const Rows& x, const Pixels& pixels, std::int64_t channels,
                        const ChannelStatistics& statistics);

/// What the tail's backward pass gives: the block's gradient buffer, filled, without what batch norms subtract.
template <class T>
struct TailGradients {
  Rows gradient;
  NormSums sums;      ///< empty for kJoin
  at::Tensor weight;  ///< of the transition's convolution, where wanted
};
template <class T>
TailGradients<T> tail_backward(const BlockTrace& trace, const at::Tensor& output_gradient);

/// conv1 of a layer from what is kept of it, into `y`.
template <class T>
void pointwise_forward(const BlockTrace& trace, const LayerParts& layer, const BlockTrace::Layer& kept, const Rows& y,
                       ChannelStatistics* statistics);

}  // namespace densenet::engine
