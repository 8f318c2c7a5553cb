/// The CUDA part where there is no GPU: the kernels by emulation (cuda_kernel_checks.cc), and the block's operator on
/// them and on plain ATen against the module-by-module reference. `cuda_test LIBRARY` holds the kernels of that library
/// against ATen instead, on the GPU that is there. Prints one line of JSON a check; the exit code says whether all
/// held. test/native/cuda.test.ts builds and runs it.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <limits>
#include <memory>
#include <span>

#include "core/data/prefetch.h"
#include "core/engine/cuda/library.h"
#include "core/engine/cuda/self_check.h"
#include "core/runtime/cuda_switches.h"
#include "cuda_kernel_checks.h"
#include "network_cases.h"
#include "plain_kernels.h"
#include "platform/shared_library.h"
#include "report.h"

namespace {

namespace device = densenet::engine::cuda;

Outcome train_with(const std::shared_ptr<const device::Kernels>& kernels, const Case& one, at::ScalarType type,
                   MemoryMode memory) {
  device::use_kernels(kernels);
  const Outcome outcome = train_once(one, type, Implementation::kAuto, memory);
  device::use_kernels(nullptr);
  return outcome;
}

/// The operator's algebra, in double precision. Gives the error, which shows how much the case magnifies roundings.
double check_algebra(const Case& one, const Outcome& reference) {
  const auto plain = std::make_shared<PlainKernels>();
  double largest = 0.0;
  for (const MemoryMode memory : {MemoryMode::kFast, MemoryMode::kEfficient}) {
    const double off = difference(train_with(plain, one, at::kDouble, memory), reference);
    const char* mode = memory == MemoryMode::kFast ? "fast" : "efficient";
    report(one.name + ": operator in double precision, " + mode, off < 1e-8, off);
    largest = std::max(largest, off);
  }
  return largest;
}

/// The operator on the CUDA kernels themselves, in float. `double_error`: of the same in double precision.
void check_emulated(const Case& one, const Outcome& reference, double double_error) {
  constexpr double kRoundings = double{std::numeric_limits<float>::epsilon()} / std::numeric_limits<double>::epsilon();
  const auto emulated = std::make_shared<device::LibraryKernels>(*densenet_cuda_kernels());
  const Outcome modules = train_once(one, at::kFloat, Implementation::kReference, MemoryMode::kFast);
  const double rounding = difference(modules, reference);
  const Outcome first = train_with(emulated, one, at::kFloat, MemoryMode::kFast);
  const double off = difference(first, reference);
  report(one.name + ": operator on the kernels (the reference is " + std::to_string(rounding) + " off)",
         off < (4 * rounding) + (double_error * kRoundings) + 1e-5, off);
  report(one.name + ": operator repeats bit for bit",
         identical(first, train_with(emulated, one, at::kFloat, MemoryMode::kEfficient)), 0.0);
}

/// Kernels with one fault, for the self-check to find.
class FaultyKernels final : public device::Kernels {
 public:
  enum class Fault : std::uint8_t { kNorm, kCorrection, kRunning };
  explicit FaultyKernels(Fault fault) : fault_(fault) {}

  void append(const at::Tensor& x, const densenet::engine::DropMask& mask, const at::Tensor& out,
              const device::Moments& into) const override {
    sound_.append(x, mask, out, into);
  }
  void norm_relu(const at::Tensor& x, const device::NormVectors& norm, const at::Tensor& out) const override {
    sound_.norm_relu(x, norm, out);
    if (fault_ == Fault::kNorm) out[3][5].fill_(9.0);
  }
  void norm_relu_pool(const at::Tensor& x, const device::NormVectors& norm, const densenet::engine::Pixels& pixels,
                      const at::Tensor& out) const override {
    sound_.norm_relu_pool(x, norm, pixels, out);
  }
  at::Tensor norm_relu_pool_backward(const at::Tensor& dy, const at::Tensor& x, const device::NormVectors& norm,
                                     const at::Tensor& mean, const densenet::engine::Pixels& pixels,
                                     const at::Tensor& gradient) const override {
    return sound_.norm_relu_pool_backward(dy, x, norm, mean, pixels, gradient);
  }
  at::Tensor norm_relu_backward(const at::Tensor& dy, const at::Tensor& x, const device::NormVectors& norm,
                                const at::Tensor& mean, const at::Tensor& gradient, bool accumulate) const override {
    return sound_.norm_relu_backward(dy, x, norm, mean, gradient, accumulate);
  }
  void correct(const at::Tensor& gradient, const at::Tensor& x, const device::Correction& correction,
               const at::Tensor& mean, const densenet::engine::DropMask& mask, const at::Tensor& out) const override {
    sound_.correct(gradient, x, correction, mean, mask, out);
    if (fault_ == Fault::kCorrection) out.copy_(gradient);
  }
  [[nodiscard]] device::NormVectors prepare_norm(const densenet::engine::NormParts& norm,
                                                 const device::Moments& moments, std::int64_t rows) const override {
    return sound_.prepare_norm(norm, moments, fault_ == Fault::kRunning ? 0 : rows);
  }
  device::VectorGradients finish_norm(const densenet::engine::NormParts& norm, const device::Moments& moments,
                                      const at::Tensor& sums, std::int64_t rows,
                                      const device::Correction& correction) const override {
    return sound_.finish_norm(norm, moments, sums, rows, correction);
  }

 private:
  Fault fault_;
  PlainKernels sound_;
};

void check_self_check() {
  const auto emulated = std::make_shared<device::LibraryKernels>(*densenet_cuda_kernels());
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const std::string fault = device::find_fault(emulated, c10::Device(c10::kCPU), type);
    report(std::string("self-check passes the kernels in ") + at::toString(type) + " " + fault, fault.empty(), 0.0);
  }
  using Fault = FaultyKernels::Fault;
  for (const Fault kind : {Fault::kNorm, Fault::kCorrection, Fault::kRunning}) {
    const std::string fault =
        device::find_fault(std::make_shared<FaultyKernels>(kind), c10::Device(c10::kCPU), at::kFloat);
    report("self-check names a fault: " + fault, !fault.empty(), 0.0);
  }
}

using Batches = std::vector<densenet::Batch>;

Batches epoch_of(densenet::BatchSource& source, std::uint64_t seed) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  source.start_epoch(at::randperm(source.size(), generator, at::TensorOptions().dtype(at::kLong)));
  Batches batches;
  while (auto batch = source.next()) batches.push_back(*batch);
  return batches;
}

/// A source that fails at its second batch.
class FailingSource final : public densenet::BatchSource {
 public:
  [[nodiscard]] std::int64_t size() const override { return 2; }
  void start_epoch(const at::Tensor& /*order*/) override { given_ = false; }
  std::optional<densenet::Batch> next() override {
    if (given_) throw std::runtime_error("no more");
    given_ = true;
    return densenet::Batch{.images = at::zeros({1}), .labels = at::zeros({1})};
  }
  void skip() override { given_ = true; }
  [[nodiscard]] std::int64_t position() const override { return given_ ? 1 : 0; }
  [[nodiscard]] std::int64_t steps() const override { return 2; }

 private:
  bool given_ = false;
};

void check_prefetch() {
  const at::Tensor images = at::rand({10, 3, 4, 4});
  const at::Tensor labels = at::arange(10);
  const c10::Device cpu(c10::kCPU);
  densenet::TensorBatches plain(images, labels, 3, 2, cpu);
  densenet::TensorBatches source(images, labels, 3, 2, cpu);
  densenet::Prefetcher ahead(source, cpu);
  bool same = true;
  for (const std::uint64_t seed : {1, 2}) {  // an epoch after another, too
    const Batches expected = epoch_of(plain, seed);
    const Batches found = epoch_of(ahead, seed);
    same = same && expected.size() == 3 && found.size() == expected.size();
    for (std::size_t index = 0; same && index < found.size(); ++index) {
      same = at::equal(found[index].images, expected[index].images) &&
             at::equal(found[index].labels, expected[index].labels);
    }
  }
  report("prefetch gives the source's batches in their order", same, 0.0);
  ahead.start_epoch({});
  (void)ahead.next();
  ahead.start_epoch({});  // an epoch left in the middle
  report("prefetch begins anew", at::equal(ahead.next()->labels, labels.narrow(0, 0, 3)), 0.0);

  ahead.start_epoch({});
  ahead.skip();
  const bool skipped = at::equal(ahead.next()->labels, labels.narrow(0, 3, 3)) && ahead.position() == 2;
  ahead.skip();
  report("prefetch passes over batches", skipped && ahead.position() == 3 && !ahead.next(), 0.0);

  FailingSource failing;
  densenet::Prefetcher failed(failing, cpu);
  failed.start_epoch({});
  (void)failed.next();
  bool threw = false;
  try {
    (void)failed.next();
  } catch (const std::runtime_error&) {
    threw = true;
  }
  report("prefetch passes the source's failure on", threw, 0.0);
}

void check_switches() {
  const bool held = densenet::is_listed("engine", "engine") && densenet::is_listed("graphs,engine", "engine") &&
                    densenet::is_listed("all", "prefetch") && !densenet::is_listed("", "engine") &&
                    !densenet::is_listed("engines,graphs", "engine") && !densenet::is_listed(",", "engine");
  report("switches are read as a list", held, 0.0);
}

/// The kernels on a GPU, from the library that holds them.
void check_library(const char* path) {
  const auto opened = densenet::platform::open_library(path);
  const auto table_of = reinterpret_cast<const DensenetKernels* (*)()>(
      opened.library == nullptr ? nullptr : densenet::platform::find_symbol(opened.library, "densenet_cuda_kernels"));
  report("the library of kernels opens: " + opened.reason, table_of != nullptr, 0.0);
  if (table_of != nullptr) check_kernels(report, c10::Device(c10::kCUDA, 0), *table_of());
}

}  // namespace

int main(int count, char** arguments) {
  const std::span<char*> given(arguments, static_cast<std::size_t>(count));
  if (given.size() > 1) {
    check_library(given[1]);
    return all_held ? 0 : 1;
  }
  check_prefetch();
  check_switches();
  check_kernels(report, c10::kCPU, *densenet_cuda_kernels());
  check_self_check();
  for (const Case& one : cases()) {
    const Outcome reference = train_once(one, at::kDouble, Implementation::kReference, MemoryMode::kFast);
    check_emulated(one, reference, check_algebra(one, reference));
  }
  return all_held ? 0 : 1;
}
