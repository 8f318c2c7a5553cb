/// The CUDA part where there is no GPU: the kernels by emulation (cuda_kernel_checks.cc), and the block's operator on
/// them and on plain ATen against the module-by-module reference. Prints one line of JSON a check; the exit code says
/// whether all held. test/native/cuda.test.ts builds and runs it.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <cstdio>
#include <memory>

#include "core/engine/cuda/library.h"
#include "core/engine/cuda/self_check.h"
#include "cuda_kernel_checks.h"
#include "network_cases.h"
#include "plain_kernels.h"

namespace {

namespace device = densenet::engine::cuda;

bool all_held = true;

void report(const std::string& check, bool held, double value) {
  all_held = all_held && held;
  std::printf(R"({"check": "%s", "held": %s, "value": %.3g})"
              "\n",
              check.c_str(), held ? "true" : "false", value);
  std::fflush(stdout);
}

Outcome train_with(const std::shared_ptr<const device::Kernels>& kernels, const Case& one, at::ScalarType type,
                   MemoryMode memory) {
  device::use_kernels(kernels);
  const Outcome outcome = train_once(one, type, Implementation::kAuto, memory);
  device::use_kernels(nullptr);
  return outcome;
}

/// The operator's algebra, in double precision.
void check_algebra(const Case& one, const Outcome& reference) {
  const auto plain = std::make_shared<PlainKernels>();
  for (const MemoryMode memory : {MemoryMode::kFast, MemoryMode::kEfficient}) {
    const double off = difference(train_with(plain, one, at::kDouble, memory), reference);
    const char* mode = memory == MemoryMode::kFast ? "fast" : "efficient";
    report(one.name + ": operator in double precision, " + mode, off < 1e-8, off);
  }
}

/// The operator on the CUDA kernels themselves, in float.
void check_emulated(const Case& one, const Outcome& reference) {
  const auto emulated = std::make_shared<device::LibraryKernels>(*densenet_cuda_kernels());
  const Outcome modules = train_once(one, at::kFloat, Implementation::kReference, MemoryMode::kFast);
  const double rounding = difference(modules, reference);
  const Outcome first = train_with(emulated, one, at::kFloat, MemoryMode::kFast);
  const double off = difference(first, reference);
  report(one.name + ": operator on the kernels (the reference is " + std::to_string(rounding) + " off)",
         off < (4 * rounding) + 1e-5, off);
  report(one.name + ": operator repeats bit for bit",
         identical(first, train_with(emulated, one, at::kFloat, MemoryMode::kEfficient)), 0.0);
}

/// Kernels with one fault, for the self-check to find.
class FaultyKernels final : public device::Kernels {
 public:
  enum class Fault : std::uint8_t { kProduct, kCorrection, kRunning };
  explicit FaultyKernels(Fault fault) : fault_(fault) {}

  void append(const at::Tensor& x, const densenet::engine::DropMask& mask, const at::Tensor& out,
              const device::Moments& into) const override {
    sound_.append(x, mask, out, into);
  }
  void norm_relu(const at::Tensor& x, const device::NormVectors& norm, const at::Tensor& out) const override {
    sound_.norm_relu(x, norm, out);
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
  void product(const at::Tensor& x, const device::NormVectors& norm, const at::Tensor& weight, const at::Tensor& bias,
               const densenet::engine::DropMask& mask, const at::Tensor& out,
               const device::Moments* into) const override {
    sound_.product(x, norm, weight, bias, mask, out, into);
    if (fault_ == Fault::kProduct) out[3][5].fill_(9.0);
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
  for (const Fault kind : {Fault::kProduct, Fault::kCorrection, Fault::kRunning}) {
    const std::string fault =
        device::find_fault(std::make_shared<FaultyKernels>(kind), c10::Device(c10::kCPU), at::kFloat);
    report("self-check names a fault: " + fault, !fault.empty(), 0.0);
  }
}

}  // namespace

int main() {
  check_kernels(report);
  check_self_check();
  for (const Case& one : cases()) {
    const Outcome reference = train_once(one, at::kDouble, Implementation::kReference, MemoryMode::kFast);
    check_algebra(one, reference);
    check_emulated(one, reference);
  }
  return all_held ? 0 : 1;
}
