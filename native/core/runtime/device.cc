#include "core/runtime/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/cuda.h>

#include "core/engine/cuda/gate.h"
#include "core/error.h"
#include "core/runtime/info.h"

namespace densenet {

namespace {

/// libtorch's own count is a signed char.
int cuda_device_count() { return static_cast<unsigned char>(torch::cuda::device_count()); }

/// Why CUDA cannot be used, or nothing when it can.
std::string cuda_fault() {
  // hasCUDA asks for a device; only hasCUDART tells how libtorch was built.
  if (!at::Context::hasCUDART()) return "this libtorch is a CPU build";
  try {
    if (!at::Context::hasCUDA() || cuda_device_count() == 0)
      return "no NVIDIA device or driver was found on this machine";
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return {};
}

}  // namespace

c10::Device find_device(const std::string& name) {
  if (name == "cpu") return {c10::kCPU};
  const std::string fault = cuda_fault();
  if (name == "auto") return fault.empty() ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
  if (!fault.empty()) {
    throw Error(code::kCudaUnavailable, "device " + name + " was asked for, but " + fault +
                                            ". Use device: 'cpu' or 'auto', or see `densenet doctor`.");
  }
  const c10::Device device(name);
  const int index = device.has_index() ? device.index() : 0;
  const auto count = cuda_device_count();
  if (index >= count) {
    throw Error(code::kCudaUnavailable, "device " + name + " was asked for, but there are " + std::to_string(count) +
                                            " CUDA devices: cuda:0 to cuda:" + std::to_string(count - 1) + ".");
  }
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

std::int64_t free_device_memory(const c10::Device& device) {
  return static_cast<std::int64_t>(at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).first);
}

std::string loaded_libtorch_version() {
  // The library has no function for its version; its build settings hold it.
  const std::string settings = at::show_config();
  const std::string key = "TORCH_VERSION=";
  const auto start = settings.find(key);
  if (start == std::string::npos) return {};
  const auto end = settings.find_first_of(", \n", start);
  return settings.substr(start + key.size(), end - start - key.size());
}

RuntimeFacts runtime_facts() {
  RuntimeFacts facts;
  facts.libtorch_version = loaded_libtorch_version();
  facts.threads = at::get_num_threads();
  facts.cpu_capability = at::get_cpu_capability();
  facts.cuda_reason = cuda_fault();
  if (facts.cuda_reason.empty()) {
    const auto count = cuda_device_count();
    for (int index = 0; index < count; ++index) facts.cuda_devices.push_back("cuda:" + std::to_string(index));
    facts.cuda_engine = engine::cuda::why_off();
  }
  return facts;
}

void seed_everything(std::uint64_t seed) { at::manual_seed(seed); }

}  // namespace densenet
