#pragma once

#include <cstdint>

#include "core/engine/cpu/affine.h"

/// Winograd's minimal filtering for the 3×3 convolutions, F(4×4, 3×3): Lavin and Gray, "Fast Algorithms for
/// Convolutional Neural Networks" (2016). A tile of 4×4 outputs comes from 6×6 inputs by 36 products instead of 144:
/// Y = Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A. Here the 36 products, one a *frequency*, are matrices: tiles by channels.
namespace densenet::engine {

inline constexpr int kTileOutput = 4;
inline constexpr int kTileInput = 6;
inline constexpr int kFrequencies = kTileInput * kTileInput;

/// A tile of an image: where it lies, and how much of it is inside.
struct WinogradTile {
  std::int64_t pixel = 0;  ///< its first output
  int rows = kTileOutput;  ///< outputs inside the image
  int columns = kTileOutput;
  int top = 0;  ///< inputs [top, bottom) × [left, right) are inside; the others are zero
  int bottom = kTileInput;
  int left = 0;
  int right = kTileInput;

  [[nodiscard]] bool inside() const { return top == 0 && bottom == kTileInput && left == 0 && right == kTileInput; }
};

struct WinogradTiles {
  const WinogradTile* tile;
  std::int64_t count;
  std::int64_t pitch;  ///< pixels of a row of the image
};

/// A matrix a frequency: a row is a tile, a column a channel. It is stored in panels of kPanel columns, each a panel
/// for every frequency, so that a tile's values at all frequencies lie near each other.
template <class T>
struct FrequencyPanels {
  T* data;
  std::int64_t frequency;  ///< elements from one frequency to the next
  std::int64_t panel;      ///< and from one panel to the next
};

/// V = Bᵀ·d·B of each tile, d the rectified input; without a scale, the input as it is.
template <class T>
struct WinogradInput {
  WinogradTiles tiles;
  const T* x;
  std::int64_t ldx;
  std::int64_t channels;
  Affine<T> norm;
  FrequencyPanels<T> v;
};

/// M = V·U at each frequency, for the panels [first_panel, last_panel) of U's columns.
template <class T>
struct WinogradProduct {
  std::int64_t tiles;
  std::int64_t first;  ///< rows [first, first + depth) of U
  std::int64_t depth;
  std::int64_t all_depth;  ///< rows of U
  std::int64_t first_panel;
  std::int64_t last_panel;
  FrequencyPanels<const T> v;
  const T* u;            ///< [panel][frequency][all_depth][kPanel]
  FrequencyPanels<T> m;  ///< its first panel is `first_panel`
  bool accumulate;
};

/// Y = AᵀMA, the outputs inside the image one after the other, tile by tile.
template <class T>
struct WinogradOutput {
  WinogradTiles tiles;
  FrequencyPanels<const T> m;
  std::int64_t panels;
  T* y;
  std::int64_t ldy;
};

/// The same for one panel of the gradient of a rectified value, ended as `NormBackward` says at the tiles' pixels.
template <class T>
struct WinogradBackward {
  WinogradTiles tiles;
  FrequencyPanels<const T> m;
  std::int64_t column;  ///< the panel's first channel in `end`
  NormBackward<T> end;
};

/// D = A·g·Aᵀ of each tile's 4×4 gradients: what the weight's gradient takes from the output's side.
template <class T>
struct WinogradGradient {
  WinogradTiles tiles;
  const T* g;
  std::int64_t ldg;
  std::int64_t channels;
  FrequencyPanels<T> d;
};

/// dU += Dᵀ·V at each frequency, for one panel of V.
template <class T>
struct WinogradWeight {
  std::int64_t tiles;
  std::int64_t channels;  ///< of D
  FrequencyPanels<const T> d;
  FrequencyPanels<const T> v;
  T* du;  ///< [frequency][channels][kPanel]
};

}  // namespace densenet::engine
