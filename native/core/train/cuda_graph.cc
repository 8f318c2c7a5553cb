#include "core/train/cuda_graph.h"

#include <ATen/ATen.h>

#include <mutex>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "core/runtime/cuda_switches.h"
#include "core/runtime/failure.h"
#include "core/train/out_of_memory.h"

#ifdef DENSENET_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace densenet {

#ifdef DENSENET_CUDA

namespace {

/// Steps of a shape that run as they are before one is recorded: cuDNN chooses its algorithms in them, and libraries
/// make what they need.
constexpr int kWarmUps = 3;

/// libtorch frees nothing of a device while a graph is recorded on any thread, and fails where it is asked to.
std::mutex& recording() {
  static std::mutex one;
  return one;
}

/// Gives the device's memory back that libtorch holds and nothing uses, as that of a graph that is gone: it would keep
/// it for a graph's like, and a step's is a good part of the device.
void release_unused() {
  const std::scoped_lock lock(recording());
  c10::cuda::CUDACachingAllocator::emptyCache();
}

/// Shapes that are kept at once. Each holds the memory of a step; the one that was used longest ago goes.
constexpr std::size_t kMostSteps = 4;

std::string full_key(const std::string& key, const std::vector<at::Tensor>& inputs,
                     const std::vector<at::Tensor>& parameters) {
  std::ostringstream text;
  text << key;
  for (const at::Tensor& input : inputs) text << '|' << input.scalar_type() << input.sizes() << input.strides();
  text << '|';
  for (const at::Tensor& parameter : parameters) text << (parameter.requires_grad() ? '1' : '0');
  return text.str();
}

}  // namespace

struct StepGraphs::Recorded {
  std::string key;
  int seen = 0;
  std::vector<const void*> places;  ///< of the parameters and buffers: a recorded step works on these addresses
  std::unique_ptr<at::cuda::CUDAGraph> graph;
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> gradients;
  at::Tensor output;

  Recorded() = default;
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;
  Recorded(Recorded&&) = delete;
  Recorded& operator=(Recorded&&) = delete;
  ~Recorded() {
    if (!graph) return;
    inputs.clear();
    gradients.clear();
    output.reset();
    graph.reset();
    try {
      release_unused();
    } catch (const c10::Error&) {
      // A device that failed has no memory to give back.
    }
  }

  void record(const at::Generator& generator, const std::vector<at::Tensor>& parameters, const Passes& passes) {
    // Recording needs a stream of its own, from the pool that no copies of batches come from.
    const c10::cuda::CUDAStream stream =
        c10::cuda::getStreamFromPool(/*isHighPriority=*/true, inputs.front().device().index());
    c10::cuda::getCurrentCUDAStream(inputs.front().device().index()).synchronize();
    // What the steps before have used is in the way of the graph's own memory.
    release_unused();
    const std::scoped_lock lock(recording());
    const c10::cuda::CUDAStreamGuard on_stream(stream);
    auto made = std::make_unique<at::cuda::CUDAGraph>();
    made->register_generator_state(generator);
    // Other models' threads may allocate meanwhile, so only this thread's calls are watched.
    made->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      output = passes(inputs);
    } catch (...) {
      try {
        made->capture_end();
      } catch (const c10::Error&) {
        // It reports what broke the recording once more.
      }
      throw;
    }
    made->capture_end();
    for (const at::Tensor& parameter : parameters) gradients.push_back(parameter.grad());
    graph = std::move(made);
  }
};

bool StepGraphs::are_on(const c10::Device& device) { return device.is_cuda() && is_switched_on("graphs"); }

at::Tensor StepGraphs::run(const std::string& key, const std::vector<at::Tensor>& inputs,
                           const std::vector<at::Tensor>& parameters, const std::vector<at::Tensor>& buffers,
                           const at::Generator& generator, const Passes& passes) {
  std::vector<const void*> places;
  for (const auto* list : {&parameters, &buffers}) {
    for (const at::Tensor& tensor : *list) places.push_back(tensor.const_data_ptr());
  }
  const std::string wanted = full_key(key, inputs, parameters);
  const auto found =
      std::ranges::find_if(steps_, [&](const auto& step) { return step->key == wanted && step->places == places; });
  std::unique_ptr<Recorded> step;
  if (found == steps_.end()) {
    step = std::make_unique<Recorded>();
    step->key = wanted;
    step->places = std::move(places);
  } else {
    step = std::move(*found);
    steps_.erase(found);
  }
  // The one that was used last stands last.
  if (steps_.size() >= kMostSteps) steps_.erase(steps_.begin());
  steps_.push_back(std::move(step));
  Recorded& own = *steps_.back();
  if (!own.graph && (cannot_record_ || own.seen++ < kWarmUps)) return passes(inputs);
  if (!own.graph) {
    for (const at::Tensor& input : inputs) own.inputs.push_back(at::empty_like(input));
    try {
      own.record(generator, parameters, passes);
    } catch (...) {
      const std::exception_ptr failure = std::current_exception();
      steps_.pop_back();
      if (is_out_of_memory(failure)) throw;
      return give_up(failure, inputs, parameters, passes);
    }
  }
  for (std::size_t index = 0; index < inputs.size(); ++index) own.inputs[index].copy_(inputs[index]);
  own.graph->replay();
  for (std::size_t index = 0; index < parameters.size(); ++index) {
    parameters[index].mutable_grad() = own.gradients[index];
  }
  // A replay writes behind ATen's back: whoever keeps something made from the buffers is told that they changed.
  for (const at::Tensor& buffer : buffers) buffer.unsafeGetTensorImpl()->bump_version();
  return own.output;
}

at::Tensor StepGraphs::give_up(const std::exception_ptr& failure, const std::vector<at::Tensor>& inputs,
                               const std::vector<at::Tensor>& parameters, const Passes& passes) {
  cannot_record_ = true;
  TORCH_WARN(
      "libtorch-densenet: a training step could not be recorded as a CUDA graph: ", describe_failure(failure).message,
      " Steps run kernel by kernel instead, which is slower where they are small.");
  for (const at::Tensor& parameter : parameters) parameter.mutable_grad().reset();
  return passes(inputs);
}

#else

struct StepGraphs::Recorded {};

bool StepGraphs::are_on(const c10::Device& /*device*/) { return false; }

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): with CUDA it is none
at::Tensor StepGraphs::run(const std::string& /*key*/, const std::vector<at::Tensor>& inputs,
                           const std::vector<at::Tensor>& /*parameters*/, const std::vector<at::Tensor>& /*buffers*/,
                           const at::Generator& /*generator*/, const Passes& passes) {
  return passes(inputs);
}

#endif

StepGraphs::StepGraphs() = default;
StepGraphs::~StepGraphs() = default;

}  // namespace densenet
