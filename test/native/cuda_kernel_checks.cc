#include "cuda_kernel_checks.h"

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "core/engine/cuda/library.h"
#include "core/engine/cuda/matrix.h"
#include "device.cuh"
#include "plain_kernels.h"

namespace {

using densenet::engine::DropMask;
using densenet::engine::NormParts;
namespace device = densenet::engine::cuda;
namespace emulation = densenet::cuda::emulation;

struct Size {
  std::int64_t rows;
  std::int64_t channels;
  std::int64_t offset;  ///< of the first channel in rows that are wider
};

/// Whole packs, packs of four, single values; slices that are not aligned; one row more than a part; several parts.
const std::vector<Size> kSizes{{300, 64, 0}, {129, 36, 0}, {65, 12, 28}, {70, 7, 3},
                               {64, 1, 0},   {5, 264, 8},  {2, 3, 0}};

/// Makes what kernels work on, on the device that they run on.
class Maker {
 public:
  explicit Maker(c10::Device place) : place_(place) {}

  [[nodiscard]] at::Tensor matrix(const Size& size, at::ScalarType type) const {
    const auto options = at::TensorOptions().dtype(type).device(place_);
    const at::Tensor all = device::make_matrix(size.rows, size.channels + size.offset, options);
    all.copy_(at::randn(all.sizes()).mul_(1.5).add_(0.7));
    return all.narrow(1, size.offset, size.channels);
  }

  [[nodiscard]] at::Tensor vector(std::int64_t length, double offset) const {
    return at::randn({length}).mul_(0.3).add_(offset).to(place_);
  }

  [[nodiscard]] NormParts norm(std::int64_t channels) const {
    return {.weight = vector(channels, 1.0).requires_grad_(),
            .bias = vector(channels, 0.0).requires_grad_(),
            .running_mean = vector(channels, 0.0),
            .running_variance = vector(channels, 2.0),
            .batches = at::full({}, 3, at::TensorOptions().dtype(at::kLong).device(place_)),
            .epsilon = 1e-5,
            .momentum = 0.1};
  }

  [[nodiscard]] DropMask mask(std::int64_t rows, std::int64_t channels) const {
    return {.bytes = at::rand({rows, channels}).gt(0.3).to(at::kByte).to(place_), .scale = 1.0 / 0.7};
  }

 private:
  c10::Device place_;
};

NormParts copy(const NormParts& norm) {
  NormParts other = norm;
  other.running_mean = norm.running_mean.clone();
  other.running_variance = norm.running_variance.clone();
  other.batches = norm.batches.clone();
  return other;
}

/// What a check's work leaves: every tensor that it wrote.
using Outcome = std::vector<at::Tensor>;
using Work = std::function<Outcome(const device::Kernels&)>;

class Checks {
 public:
  Checks(Report report, c10::Device place, const DensenetKernels& table)
      : make(place), report_(report), prefix_(place.is_cpu() ? "" : place.str() + ", "), own_(table) {}

  /// Holds the kernels against the plain ones, and against themselves a second time: emulated with the threads' turns
  /// reversed, and on a device as it comes.
  void check(const std::string& name, double tolerance, const Work& work) const {
    const Outcome plain = work(plain_);
    const Outcome found = work(own_);
    emulation::run_backwards(true);
    const Outcome again = work(own_);
    emulation::run_backwards(false);
    double largest = 0.0;
    bool same = true;
    for (std::size_t index = 0; index < plain.size(); ++index) {
      const at::Tensor truth = plain[index].to(at::kDouble);
      const double scale = std::max(truth.abs().max().item<double>(), 1e-6);
      const double off = (found[index].to(at::kDouble) - truth).abs().max().item<double>() / scale;
      largest = std::max(largest, std::isnan(off) ? INFINITY : off);
      same = same && at::equal(found[index], again[index]);
    }
    report_(prefix_ + "kernel " + name, largest <= tolerance, largest);
    report_(prefix_ + "order of threads, " + name, same, 0.0);
  }

  const Maker make;

 private:
  Report report_;
  std::string prefix_;
  PlainKernels plain_;
  device::LibraryKernels own_;
};

/// One step of the type: where the plain result lies on the edge of two roundings the other may be right.
double rounding(at::ScalarType type) {
  if (type == at::kBFloat16) return 1.0 / 128;
  return type == at::kHalf ? 1.0 / 1024 : 3e-6;
}

void check_passes(const Checks& checks, const Size& size, at::ScalarType type, const std::string& suffix) {
  const at::Tensor x = checks.make.matrix(size, type);
  const at::Tensor dy = checks.make.matrix({size.rows, size.channels, 0}, type);
  const NormParts norm = checks.make.norm(size.channels);
  const device::NormVectors vectors{.scale = checks.make.vector(size.channels, 1.0),
                                    .shift = checks.make.vector(size.channels, 0.0)};
  const at::Tensor mean = checks.make.vector(size.channels, 0.7);
  const device::Moments moments = [&] {
    device::Moments made;
    made.mean = mean;
    made.variance = checks.make.vector(size.channels, 2.0);
    return made;
  }();
  const auto out_like = [&] { return checks.make.matrix(size, type).zero_(); };
  const double step = rounding(type);

  for (const bool drops : {false, true}) {
    const DropMask mask = drops ? checks.make.mask(size.rows, size.channels) : DropMask{};
    const std::string name = drops ? " with dropout" : "";
    checks.check("append" + name + suffix, step, [&](const device::Kernels& kernels) {
      const device::Moments into(size.channels, x.options());
      const at::Tensor out = out_like();
      kernels.append(dy, mask, out, into);
      return Outcome{out, into.mean, into.variance};
    });
    checks.check("append in place" + name + suffix, step, [&](const device::Kernels& kernels) {
      const device::Moments into(size.channels, x.options());
      const at::Tensor out = x.clone();
      kernels.append(out, mask, out, into);
      return Outcome{out, into.mean, into.variance};
    });
    checks.check("correct" + name + suffix, step, [&](const device::Kernels& kernels) {
      device::Correction correction(size.channels, x.options());
      correction.p.copy_(mean);
      correction.q.copy_(moments.variance);
      const at::Tensor out = out_like();
      kernels.correct(dy, x, correction, mean, mask, out);
      return Outcome{out};
    });
  }
  checks.check("norm_relu" + suffix, step, [&](const device::Kernels& kernels) {
    const at::Tensor out = out_like();
    kernels.norm_relu(x, vectors, out);
    return Outcome{out};
  });
  for (const bool accumulate : {false, true}) {
    checks.check("norm_relu_backward" + std::string(accumulate ? ", adding" : "") + suffix, step,
                 [&](const device::Kernels& kernels) {
                   const at::Tensor gradient = dy.clone();
                   const at::Tensor sums = kernels.norm_relu_backward(dy, x, vectors, mean, gradient, accumulate);
                   const device::Correction correction(size.channels, x.options());
                   const auto found = kernels.finish_norm(norm, moments, sums, size.rows, correction);
                   return Outcome{gradient, found.weight, found.bias, correction.p, correction.q};
                 });
  }
  checks.check("prepare_norm" + suffix, 3e-6, [&](const device::Kernels& kernels) {
    const NormParts own = copy(norm);
    const auto made = kernels.prepare_norm(own, moments, size.rows);
    return Outcome{made.scale, made.shift, own.running_mean, own.running_variance, own.batches};
  });
}

/// Of 2 × 2 pixels, with an odd row and column in the second case.
void check_pooling(const Checks& checks, const Size& size, at::ScalarType type, const std::string& suffix) {
  const densenet::engine::Pixels pixels{.images = 3, .height = 8 + size.rows % 2, .width = 12 + size.rows % 3};
  const densenet::engine::Pixels small{.images = 3, .height = pixels.height / 2, .width = pixels.width / 2};
  const at::Tensor x = checks.make.matrix({pixels.count(), size.channels, size.offset}, type);
  const at::Tensor dy = checks.make.matrix({small.count(), size.channels, 0}, type);
  const device::NormVectors vectors{.scale = checks.make.vector(size.channels, 1.0),
                                    .shift = checks.make.vector(size.channels, 0.0)};
  const NormParts norm = checks.make.norm(size.channels);
  device::Moments moments;
  moments.mean = checks.make.vector(size.channels, 0.7);
  moments.variance = checks.make.vector(size.channels, 2.0);
  checks.check("norm_relu_pool" + suffix, rounding(type), [&](const device::Kernels& kernels) {
    const at::Tensor out = device::make_matrix(small.count(), size.channels, x.options());
    kernels.norm_relu_pool(x, vectors, pixels, out);
    return Outcome{out};
  });
  checks.check("norm_relu_pool_backward" + suffix, rounding(type), [&](const device::Kernels& kernels) {
    const at::Tensor gradient = device::make_matrix(pixels.count(), size.channels, x.options());
    const at::Tensor sums = kernels.norm_relu_pool_backward(dy, x, vectors, moments.mean, pixels, gradient);
    const device::Correction correction(size.channels, x.options());
    const auto found = kernels.finish_norm(norm, moments, sums, pixels.count(), correction);
    return Outcome{gradient, found.weight, found.bias, correction.p, correction.q};
  });
}

/// A variance of 2 beside a mean of 3000: E[x²] − E[x]² in float would lose it.
void check_offset(const Checks& checks) {
  const at::Tensor x = checks.make.matrix({700, 16, 0}, at::kFloat).add_(3000.0);
  checks.check("append far from zero", 1e-4, [&](const device::Kernels& kernels) {
    const device::Moments into(16, x.options());
    kernels.append(x, {}, at::empty_like(x), into);
    return Outcome{into.variance};
  });
}

}  // namespace

void check_kernels(Report report, c10::Device place, const DensenetKernels& table) {
  at::manual_seed(5);
  const Checks checks(report, place, table);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const std::string suffix = std::string(", ") + at::toString(type);
    for (const Size& size : kSizes) {
      const std::string name = " " + std::to_string(size.rows) + "x" + std::to_string(size.channels) + suffix;
      check_passes(checks, size, type, name);
      check_pooling(checks, size, type, name);
    }
  }
  check_offset(checks);
}
