#include "core/engine/stem.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <utility>
#include <vector>

#include "core/engine/passes.h"

namespace densenet::engine {

namespace {

/// What the backward pass needs.
struct StemTrace final : torch::CustomClassHolder {
  NormParts norm;
  Pixels pixels{};
  std::int64_t channels = 0;
  Rows x;
  ChannelStatistics statistics;
};

Pixels pooled_pixels(const Pixels& pixels) {
  return {.images = pixels.images, .height = (pixels.height + 1) / 2, .width = (pixels.width + 1) / 2};
}

/// The pixels as rows: the tensor's own memory where its rows are whole panels.
Rows rows_of(const at::Tensor& images, const Pixels& pixels) {
  const std::int64_t channels = images.size(1);
  Rows rows;
  if (channels % kPanel == 0 && images.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    rows.memory = images.permute({0, 2, 3, 1}).reshape({pixels.count(), channels});
    rows.ld = channels;
    return rows;
  }
  rows = Rows(pixels.count(), whole_panels(channels), images.options().requires_grad(false));
  rows.as_images(pixels, channels).copy_(images);
  return rows;
}

template <class T>
MaxPool<T> pool_task(const StemTrace& trace, const NormVectors<T>& norm) {
  return {.channels = trace.channels, .height = trace.pixels.height, .width = trace.pixels.width, .norm = norm.view()};
}

template <class T>
at::Tensor run_forward(StemTrace& trace, bool statistics_of_batch) {
  if (statistics_of_batch) {
    trace.statistics = ChannelStatistics(trace.channels);
    measure<T>(trace.x, trace.channels, trace.statistics);
    update_running(trace.norm, trace.statistics, trace.pixels.count());
  } else {
    trace.statistics = running_statistics(trace.norm);
  }
  const NormVectors<T> norm(trace.norm, trace.statistics, whole_panels(trace.channels));
  const MaxPool<T> task = pool_task(trace, norm);
  const Pixels pooled = pooled_pixels(trace.pixels);
  const Rows y(pooled.count(), whole_panels(trace.channels), trace.x.memory.options());
  for_items(pooled.images * pooled.height, trace.pixels.count() * trace.channels * kMove,
            [&](std::int64_t item, std::int64_t /*slot*/) {
              const std::int64_t image = item / pooled.height * trace.pixels.height * trace.pixels.width;
              kernels<T>().max_pool(task, item % pooled.height, trace.x.data<T>() + (image * trace.x.ld), trace.x.ld,
                                    y.data<T>() + (item * pooled.width * y.ld), y.ld);
            });
  return y.as_images(pooled, trace.channels);
}

/// The gradients of the convolution's output, γ and β.
template <class T>
torch::autograd::variable_list run_backward(const StemTrace& trace, const at::Tensor& output_gradient) {
  const Pixels& pixels = trace.pixels;
  const Pixels pooled = pooled_pixels(pixels);
  const Rows& x = trace.x;
  const std::int64_t length = whole_panels(trace.channels);
  const NormVectors<T> norm(trace.norm, trace.statistics, length);
  const MaxPool<T> task = pool_task(trace, norm);
  const Rows dy(pooled.count(), length, x.memory.options());
  dy.as_images(pooled, trace.channels).copy_(output_gradient);
  const Rows g(pixels.count(), length, x.memory.options());
  // Windows overlap, so an image belongs to one thread.
  for_items(pixels.images, pixels.count() * trace.channels * kMove, [&](std::int64_t image, std::int64_t /*slot*/) {
    const std::int64_t first = image * pixels.height * pixels.width;
    std::fill_n(g.data<T>() + (first * g.ld), pixels.height * pixels.width * g.ld, T{0});
    for (std::int64_t row = 0; row < pooled.height; ++row) {
      kernels<T>().max_pool_backward(task, row, x.data<T>() + (first * x.ld), x.ld,
                                     dy.data<T>() + (((image * pooled.height) + row) * pooled.width * dy.ld), dy.ld,
                                     g.data<T>() + (first * g.ld), g.ld);
    }
  });
  const Tiles tiles(pixels.count());
  const std::int64_t chunks = sum_chunks(tiles.count, 4);
  std::vector<NormSums> parts(static_cast<std::size_t>(chunks), NormSums(length));
  for_items(chunks, pixels.count() * trace.channels * kMove, [&](std::int64_t chunk, std::int64_t /*slot*/) {
    std::vector<T> sums(static_cast<std::size_t>(2 * length));
    const Range own = part_of(tiles.count, chunks, chunk);
    for (std::int64_t tile = own.begin; tile < own.end; ++tile) {
      const Range rows = tiles[tile];
      std::ranges::fill(sums, T{0});
      kernels<T>().sums(g.data<T>() + (rows.begin * g.ld), g.ld, x.data<T>() + (rows.begin * x.ld), x.ld, rows.size(),
                        trace.channels, norm.view().mean, sums.data(), sums.data() + length);
      parts[static_cast<std::size_t>(chunk)].add(sums.data(), sums.data() + length, {.begin = 0, .end = length});
    }
  });
  NormSums total(length);
  for (const NormSums& part : parts) total.add(part, {.begin = 0, .end = trace.channels});
  Correction correction(length);
  correction.add(trace.norm, trace.statistics, total, pixels.count());
  const std::vector<T> p = correction.p<T>();
  const std::vector<T> q = correction.q<T>();
  for_items(tiles.count, pixels.count() * trace.channels * kMove, [&](std::int64_t tile, std::int64_t /*slot*/) {
    const Range rows = tiles[tile];
    T* place = g.data<T>() + (rows.begin * g.ld);
    kernels<T>().correct(place, g.ld, x.data<T>() + (rows.begin * x.ld), x.ld, rows.size(), trace.channels,
                         norm.view().scale, p.data(), q.data(), norm.view().mean, place, g.ld);
  });
  const NormGradients gradients = norm_gradients(trace.norm, trace.statistics, total);
  return {g.as_images(pixels, trace.channels), gradients.weight, gradients.bias};
}

class StemFunction final : public torch::autograd::Function<StemFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& convolved,
                            const at::Tensor& /*weight*/, const at::Tensor& /*bias*/, const NormParts* norm,
                            bool statistics_of_batch) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto trace = c10::make_intrusive<StemTrace>();
    trace->norm = *norm;
    trace->pixels = {.images = convolved.size(0), .height = convolved.size(2), .width = convolved.size(3)};
    trace->channels = convolved.size(1);
    trace->x = rows_of(convolved.detach(), trace->pixels);
    context->saved_data["trace"] = c10::IValue::make_capsule(trace);
    if (convolved.scalar_type() == at::kDouble) return run_forward<double>(*trace, statistics_of_batch);
    return run_forward<float>(*trace, statistics_of_batch);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list output_gradients) {
    const auto held = c10::static_intrusive_pointer_cast<StemTrace>(context->saved_data.at("trace").toCapsule());
    const at::Tensor& gradient = output_gradients.at(0);
    torch::autograd::variable_list list = held->x.memory.scalar_type() == at::kDouble
                                              ? run_backward<double>(*held, gradient)
                                              : run_backward<float>(*held, gradient);
    list.resize(5);  // the parts and the flag have no gradient
    return list;
  }
};

}  // namespace

at::Tensor stem_forward(const NormParts& norm, const at::Tensor& convolved, bool statistics_of_batch) {
  return StemFunction::apply(convolved, norm.weight, norm.bias, &norm, statistics_of_batch);
}

}  // namespace densenet::engine
