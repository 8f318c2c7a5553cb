#include "core/engine/cuda/gate.h"

#include <ATen/autocast_mode.h>
#include <c10/util/Exception.h>

#include <map>
#include <mutex>
#include <utility>

#include "core/engine/cuda/autocast.h"
#include "core/engine/cuda/library.h"
#include "core/engine/cuda/self_check.h"
#include "core/runtime/cuda_switches.h"

namespace densenet::engine::cuda {

namespace {

struct State {
  std::mutex mutex;
  std::shared_ptr<const Kernels> given;  // by a test
  std::map<std::pair<c10::DeviceIndex, at::ScalarType>, bool> checked;
  std::string fault;
};

State& state() {
  static State one;
  return one;
}

std::shared_ptr<const Kernels> given_kernels() {
  const std::scoped_lock lock(state().mutex);
  return state().given;
}

}  // namespace

std::shared_ptr<const Kernels> kernels_for(const c10::Device& device) {
  if (auto given = given_kernels()) return given;
  return device.is_cuda() ? kernel_library().kernels : nullptr;
}

void use_kernels(std::shared_ptr<const Kernels> kernels) {
  const std::scoped_lock lock(state().mutex);
  state().given = std::move(kernels);
}

bool covers(const c10::Device& device, at::ScalarType type) {
  if (given_kernels()) return true;
  if (!device.is_cuda() || !is_switched_on("engine") || !kernel_library().kernels) return false;
  if (type != at::kFloat && type != at::kBFloat16 && type != at::kHalf) return false;
  const std::scoped_lock lock(state().mutex);
  const auto [place, fresh] = state().checked.try_emplace({device.index(), type}, false);
  if (!fresh) return place->second;
  const std::string fault = find_fault(kernel_library().kernels, device, type);
  place->second = fault.empty();
  if (!fault.empty()) {
    state().fault = fault;
    TORCH_WARN("libtorch-densenet: the dense block's CUDA kernels differ from the reference on ", device.str(), " in ",
               at::toString(type), ": ", fault, ". Blocks run module by module there.");
  }
  return place->second;
}

std::string why_off() {
  if (!is_switched_on("engine")) return "not asked for: LIBTORCH_DENSENET_CUDA does not name the engine";
  if (!kernel_library().kernels) return kernel_library().reason;
  const std::scoped_lock lock(state().mutex);
  return state().fault;
}

at::ScalarType vector_type(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

at::ScalarType block_type(const at::Tensor& input) {
  const c10::DeviceType device = input.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : input.scalar_type();
}

}  // namespace densenet::engine::cuda
