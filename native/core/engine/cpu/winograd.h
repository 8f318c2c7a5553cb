#pragma once

#include "core/engine/cpu/panels.h"
#include "core/engine/cpu/winograd_transforms.h"

namespace densenet::engine {

/// The kernels of winograd_tasks.h: transforms over whole vectors of channels, a tile at a time, and the products.
template <class Arch, class T>
struct Winograd {
  using S = typename Arch::Line;
  using V = typename S::Vector;
  static constexpr std::int64_t kLanes = S::kLanes;

  static void input(const WinogradInput<T>& task) {
    for (std::int64_t index = 0; index < task.tiles.count; ++index) {
      const WinogradTile& tile = task.tiles.tile[index];
      // The first input is up and left of the first output. At a border it lies outside and is not read.
      const T* x = task.x + ((tile.pixel - task.tiles.pitch - 1) * task.ldx);
      T* v = task.v.data + (index * kPanel);
      if (task.norm.scale == nullptr) {
        input_tile(task, tile, x, v, [](V value, std::int64_t) DENSENET_INLINE_LAMBDA { return value; });
      } else {
        input_tile(task, tile, x, v, [&](V value, std::int64_t c) DENSENET_INLINE_LAMBDA {
          return rectified((value * load<S>(task.norm.scale + c)) + load<S>(task.norm.shift + c));
        });
      }
    }
  }

  static void product(const WinogradProduct<T>& task) {
    using Full = typename Arch::Full;
    for (std::int64_t frequency = 0; frequency < kFrequencies; ++frequency) {
      const T* v = task.v.data + (frequency * task.v.frequency);
      T* m = task.m.data + (frequency * task.m.frequency);
      for (std::int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
        const T* u = task.u + ((((panel * kFrequencies) + frequency) * task.all_depth) + task.first) * kPanel;
        in_groups<Full::kRows>(task.tiles, [&](auto rows, std::int64_t row) DENSENET_INLINE_LAMBDA {
          T* c = m + (row * kPanel);
          const T* a = v + (row * kPanel);
          Tile<Full, rows> tile;
          if (task.accumulate) tile.read(c, kPanel);
          std::int64_t k = 0;
          for (; k + kPanel <= task.depth; k += kPanel) {
            tile.multiply(a, kPanel, u + (k * kPanel), kPanel);
            a += task.v.panel;
          }
          if (k < task.depth) tile.multiply(a, kPanel, u + (k * kPanel), task.depth - k);
          tile.write(c, kPanel);
        });
        m += task.m.panel;
      }
    }
  }

  static void output(const WinogradOutput<T>& task) {
    T* y = task.y;
    for (std::int64_t index = 0; index < task.tiles.count; ++index) {
      const WinogradTile& tile = task.tiles.tile[index];
      for (std::int64_t c = 0; c < task.panels * kPanel; c += kLanes) {
        V outputs[kTileOutput][kTileOutput];
        output_tile(task.m, index, c, outputs);
        T* place = y + c;
        for (int row = 0; row < tile.rows; ++row) {
          for (int column = 0; column < tile.columns; ++column) {
            store<S>(place, outputs[row][column]);
            place += task.ldy;
          }
        }
      }
      y += tile.rows * tile.columns * task.ldy;
    }
  }

  static void backward(const WinogradBackward<T>& task) {
    const NormBackward<T>& end = task.end;
    const V zero{};
    for (std::int64_t c = 0; c < kPanel; c += kLanes) {
      const std::int64_t channel = task.column + c;
      const V scale = load<S>(end.norm.scale + channel);
      const V shift = load<S>(end.norm.shift + channel);
      const V mean = load<S>(end.norm.mean + channel);
      V sum_g = load<S>(end.sum_g + channel);
      V sum_gx = load<S>(end.sum_gx + channel);
      for (std::int64_t index = 0; index < task.tiles.count; ++index) {
        const WinogradTile& tile = task.tiles.tile[index];
        V gradients[kTileOutput][kTileOutput];
        output_tile(task.m, index, c, gradients);
        const T* x = end.x + (tile.pixel * end.ldx) + channel;
        T* out = end.out + (tile.pixel * end.ldo) + channel;
        for (int row = 0; row < tile.rows; ++row) {
          for (int column = 0; column < tile.columns; ++column) {
            const V value = load<S>(x + (column * end.ldx));
            const V g = (value * scale) + shift > zero ? gradients[row][column] : zero;
            sum_g += g;
            sum_gx += g * (value - mean);
            T* place = out + (column * end.ldo);
            store<S>(place, end.accumulate ? load<S>(place) + (scale * g) : g);
          }
          x += task.tiles.pitch * end.ldx;
          out += task.tiles.pitch * end.ldo;
        }
      }
      store<S>(end.sum_g + channel, sum_g);
      store<S>(end.sum_gx + channel, sum_gx);
    }
  }

  static void gradient(const WinogradGradient<T>& task) {
    for (std::int64_t index = 0; index < task.tiles.count; ++index) {
      const T* g = task.g + (task.tiles.tile[index].pixel * task.ldg);
      for (std::int64_t c = 0; c < task.channels; c += kLanes) {
        T* d = task.d.data + place_of(task.d, index, c);
        transform_square<GradientTransform, V>(
            [&](int row, int column)
                DENSENET_INLINE_LAMBDA { return load<S>(g + (((row * task.tiles.pitch) + column) * task.ldg) + c); },
            [&](int row, int column, V value)
                DENSENET_INLINE_LAMBDA { store<S>(d + (((row * kTileInput) + column) * task.d.frequency), value); });
      }
    }
  }

  static void weight(const WinogradWeight<T>& task) {
    using Full = typename Arch::Full;
    for (std::int64_t frequency = 0; frequency < kFrequencies; ++frequency) {
      const T* d = task.d.data + (frequency * task.d.frequency);
      const T* v = task.v.data + (frequency * task.v.frequency);
      T* du = task.du + (frequency * task.channels * kPanel);
      for (std::int64_t first = 0; first < task.channels; first += kPanel) {
        const std::int64_t channels = task.channels - first < kPanel ? task.channels - first : kPanel;
        in_groups<Full::kRows>(channels, [&](auto rows, std::int64_t channel) DENSENET_INLINE_LAMBDA {
          Tile<Full, rows> tile;
          tile.read(du + (channel * kPanel), kPanel);
          tile.multiply_outer(d + channel, kPanel, v, kPanel, task.tiles);
          tile.write(du + (channel * kPanel), kPanel);
        });
        d += task.d.panel;
        du += kPanel * kPanel;
      }
    }
  }

  static void transform(const T* packed, std::int64_t rows, std::int64_t all_rows, T* u) {
    transform_panel<WeightTransform>(packed, rows, all_rows, u);
  }

  static void transform_backward(const T* du, std::int64_t rows, std::int64_t all_rows, T* dw) {
    transform_panel<WeightTransformBackward>(du, rows, all_rows, dw);
  }

 private:
  template <class Value>
  DENSENET_INLINE static void input_tile(const WinogradInput<T>& task, const WinogradTile& tile, const T* x, T* v,
                                         const Value& value_of) {
    const V zero{};
    for (std::int64_t c = 0; c < task.channels; c += kLanes) {
      const auto place = [&](int row, int column) DENSENET_INLINE_LAMBDA {
        return x + (((row * task.tiles.pitch) + column) * task.ldx) + c;
      };
      // The next tile, as a rule four pixels on, of which the last four columns are new.
      unrolled<kTileInput>([&](auto row) DENSENET_INLINE_LAMBDA {
        unrolled<kTileOutput>(
            [&](auto column) DENSENET_INLINE_LAMBDA { __builtin_prefetch(place(row, column + kTileInput), 0, 2); });
      });
      T* to = v + place_of(task.v, 0, c);
      const auto put = [&](int row, int column, V value) DENSENET_INLINE_LAMBDA {
        store<S>(to + (((row * kTileInput) + column) * task.v.frequency), value);
      };
      if (tile.inside()) {
        transform_square<InputTransform, V>(
            [&](int row, int column) DENSENET_INLINE_LAMBDA { return value_of(load<S>(place(row, column)), c); }, put);
      } else {
        transform_square<InputTransform, V>(
            [&](int row, int column) DENSENET_INLINE_LAMBDA {
              const bool there = row >= tile.top && row < tile.bottom && column >= tile.left && column < tile.right;
              return there ? value_of(load<S>(place(row, column)), c) : zero;
            },
            put);
      }
    }
  }

  template <class Value>
  DENSENET_INLINE static std::int64_t place_of(const FrequencyPanels<Value>& panels, std::int64_t tile,
                                               std::int64_t channel) {
    return (channel / kPanel * panels.panel) + (tile * kPanel) + (channel % kPanel);
  }

  DENSENET_INLINE static void output_tile(const FrequencyPanels<const T>& m, std::int64_t tile, std::int64_t channel,
                                          V (&outputs)[kTileOutput][kTileOutput]) {
    const T* from = m.data + place_of(m, tile, channel);
    transform_square<OutputTransform, V>(
        [&](int row, int column)
            DENSENET_INLINE_LAMBDA { return load<S>(from + (((row * kTileInput) + column) * m.frequency)); },
        [&](int row, int column, V value) DENSENET_INLINE_LAMBDA { outputs[row][column] = value; });
  }

  template <class Transform>
  static void transform_panel(const T* from, std::int64_t rows, std::int64_t all_rows, T* to) {
    const std::int64_t step = all_rows * kPanel;
    for (std::int64_t c = 0; c < rows * kPanel; c += kLanes) {
      transform_square<Transform, V>(
          [&](int row, int column)
              DENSENET_INLINE_LAMBDA { return load<S>(from + (((row * Transform::kFrom) + column) * step) + c); },
          [&](int row, int column, V value)
              DENSENET_INLINE_LAMBDA { store<S>(to + (((row * Transform::kTo) + column) * step) + c, value); });
    }
  }
};

}  // namespace densenet::engine
