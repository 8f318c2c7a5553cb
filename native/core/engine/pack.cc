#include "core/engine/pack.h"

#include <algorithm>
#include <array>

#include "core/engine/geometry.h"
#include "core/engine/winograd.h"

namespace densenet::engine {

namespace {

/// A convolution's weight by its four lengths.
struct Sizes {
  std::int64_t out;
  std::int64_t in;
  std::int64_t area;  ///< kernel positions

  explicit Sizes(const at::Tensor& weight)
      : out(weight.size(0)), in(weight.size(1)), area(weight.size(2) * weight.size(3)) {}
};

/// How the last panel is stored where half of its columns would do.
enum class LastPanel : std::uint8_t { kMayBeHalf, kWhole };

/// Fills panels of `columns` columns from value(position, channel, column), a panel an item; a row is a position and a
/// channel.
template <class T, class F>
at::Tensor fill_panels(std::int64_t columns, std::int64_t positions, std::int64_t channels, LastPanel last,
                       const at::TensorOptions& options, const F& value) {
  const std::int64_t depth = positions * channels;
  const std::int64_t panels = ceil_div(columns, kPanel);
  at::Tensor packed = at::empty({panels * kPanel * depth}, options);
  T* data = packed.mutable_data_ptr<T>();
  for_items(panels, panels * kPanel * depth * kMove, [&](std::int64_t panel, std::int64_t /*slot*/) {
    const std::int64_t first = panel * kPanel;
    const std::int64_t real = std::min(kPanel, columns - first);
    const std::int64_t width = last == LastPanel::kWhole || real > kPanel / 2 ? kPanel : kPanel / 2;
    T* place = data + (first * depth);
    for (std::int64_t position = 0; position < positions; ++position) {
      for (std::int64_t channel = 0; channel < channels; ++channel) {
        for (std::int64_t column = 0; column < real; ++column) place[column] = value(position, channel, first + column);
        for (std::int64_t column = real; column < width; ++column) place[column] = T{0};
        place += width;
      }
    }
  });
  return packed;
}

template <class T>
at::Tensor pack_columns_out(const at::Tensor& weight, const std::vector<double>* scale, LastPanel last) {
  const Sizes sizes(weight);
  const at::Tensor dense = weight.detach().contiguous();
  const T* from = dense.const_data_ptr<T>();
  const auto value = [&](std::int64_t position, std::int64_t in, std::int64_t out) {
    const T plain = from[(((out * sizes.in) + in) * sizes.area) + position];
    if (scale == nullptr) return plain;
    return static_cast<T>(static_cast<double>(plain) * (*scale)[static_cast<std::size_t>(out)]);
  };
  return fill_panels<T>(sizes.out, sizes.area, sizes.in, last, dense.options(), value);
}

template <class T>
at::Tensor pack_columns_in(const at::Tensor& weight, LastPanel last) {
  const Sizes sizes(weight);
  const at::Tensor dense = weight.detach().contiguous();
  const T* from = dense.const_data_ptr<T>();
  const auto value = [&](std::int64_t position, std::int64_t out, std::int64_t in) {
    return from[(((out * sizes.in) + in) * sizes.area) + (sizes.area - 1 - position)];
  };
  return fill_panels<T>(sizes.in, sizes.area, sizes.out, last, dense.options(), value);
}

/// Packed 3×3 weights, whole panels of 9·depth rows, as Winograd's products want them.
template <class T>
at::Tensor to_frequencies(const at::Tensor& packed, std::int64_t depth) {
  constexpr std::int64_t kRows = 16;  // of an item
  const std::int64_t panels = packed.numel() / (9 * depth * kPanel);
  at::Tensor transformed = at::empty({panels * kFrequencies * depth * kPanel}, packed.options());
  const T* from = packed.const_data_ptr<T>();
  T* to = transformed.mutable_data_ptr<T>();
  const std::int64_t parts = ceil_div(depth, kRows);
  for_items(panels * parts, panels * depth * kPanel * kFrequencies, [&](std::int64_t item, std::int64_t /*slot*/) {
    const std::int64_t panel = item / parts;
    const Range rows = part_of(depth, parts, item % parts);
    kernels<T>().winograd_transform(from + (((panel * 9 * depth) + rows.begin) * kPanel), rows.size(), depth,
                                    to + (((panel * kFrequencies * depth) + rows.begin) * kPanel));
  });
  return transformed;
}

}  // namespace

template <class T>
at::Tensor pack_forward(const at::Tensor& weight, const std::vector<double>* scale) {
  return pack_columns_out<T>(weight, scale, LastPanel::kMayBeHalf);
}

template <class T>
at::Tensor pack_backward(const at::Tensor& weight) {
  return pack_columns_in<T>(weight, LastPanel::kMayBeHalf);
}

template <class T>
at::Tensor pack_spatial_forward(const at::Tensor& weight, const Pixels& pixels) {
  if (!winograd_pays(pixels)) return pack_forward<T>(weight);
  return to_frequencies<T>(pack_columns_out<T>(weight, nullptr, LastPanel::kWhole), weight.size(1));
}

template <class T>
at::Tensor pack_spatial_backward(const at::Tensor& weight, const Pixels& pixels) {
  if (!winograd_pays(pixels)) return pack_backward<T>(weight);
  return to_frequencies<T>(pack_columns_in<T>(weight, LastPanel::kWhole), weight.size(0));
}

template <class T>
at::Tensor sum_weight_gradient(const at::Tensor& chunks, const at::Tensor& weight) {
  const Sizes sizes(weight);
  at::Tensor gradient = at::empty(weight.sizes(), weight.options().memory_format(at::MemoryFormat::Contiguous));
  const T* from = chunks.const_data_ptr<T>();
  T* to = gradient.mutable_data_ptr<T>();
  const std::int64_t count = chunks.size(0);
  const std::int64_t step = chunks.size(1);
  for_items(ceil_div(sizes.in, kPanel), count * step * kMove, [&](std::int64_t panel, std::int64_t /*slot*/) {
    const std::int64_t first = panel * kPanel;
    const std::int64_t real = std::min(kPanel, sizes.in - first);
    for (std::int64_t position = 0; position < sizes.area; ++position) {
      for (std::int64_t out = 0; out < sizes.out; ++out) {
        const T* place = from + ((((panel * sizes.area) + position) * sizes.out + out) * kPanel);
        T* target = to + (((out * sizes.in) + first) * sizes.area) + position;
        std::array<T, kPanel> sums{};
        for (std::int64_t chunk = 0; chunk < count; ++chunk) {
          for (std::size_t column = 0; column < kPanel; ++column)
            sums[column] += place[(chunk * step) + static_cast<std::int64_t>(column)];
        }
        for (std::int64_t column = 0; column < real; ++column) {
          target[column * sizes.area] = sums[static_cast<std::size_t>(column)];
        }
      }
    }
  });
  return gradient;
}

std::int64_t weight_gradient_size(const at::Tensor& weight) {
  const Sizes sizes(weight);
  return whole_panels(sizes.in) * sizes.area * sizes.out;
}

template at::Tensor pack_forward<float>(const at::Tensor&, const std::vector<double>*);
template at::Tensor pack_forward<double>(const at::Tensor&, const std::vector<double>*);
template at::Tensor pack_backward<float>(const at::Tensor&);
template at::Tensor pack_backward<double>(const at::Tensor&);
template at::Tensor pack_spatial_forward<float>(const at::Tensor&, const Pixels&);
template at::Tensor pack_spatial_forward<double>(const at::Tensor&, const Pixels&);
template at::Tensor pack_spatial_backward<float>(const at::Tensor&, const Pixels&);
template at::Tensor pack_spatial_backward<double>(const at::Tensor&, const Pixels&);
template at::Tensor sum_weight_gradient<float>(const at::Tensor&, const at::Tensor&);
template at::Tensor sum_weight_gradient<double>(const at::Tensor&, const at::Tensor&);

}  // namespace densenet::engine
