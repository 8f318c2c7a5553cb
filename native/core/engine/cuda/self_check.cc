#include "core/engine/cuda/self_check.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <array>
#include <sstream>
#include <vector>

#include "core/engine/cuda/autocast.h"
#include "core/engine/cuda/block.h"
#include "core/engine/cuda/evaluation.h"

namespace densenet::engine::cuda {

namespace {

/// A block with a transition.
struct Shape {
  std::int64_t in;
  std::int64_t growth;
  std::int64_t layers;
  Pixels pixels;
};

/// The first has 16-byte accesses throughout and several tiles; the second is odd in every respect.
constexpr std::array<Shape, 2> kShapes{{
    {.in = 64, .growth = 32, .layers = 3, .pixels = {.images = 4, .height = 12, .width = 12}},
    {.in = 15, .growth = 6, .layers = 3, .pixels = {.images = 3, .height = 9, .width = 7}},
}};

/// An error that is small whatever module by module shows.
double small_error(at::ScalarType type) {
  if (type == at::kBFloat16) return 0.02;
  return type == at::kHalf ? 0.003 : 1e-4;
}

class Maker {
 public:
  explicit Maker(c10::Device device) : device_(device), generator_(at::make_generator<at::CPUGeneratorImpl>(1)) {}

  at::Tensor normal(at::IntArrayRef sizes, double scale, double offset) {
    const at::Tensor values = at::randn(sizes, generator_, at::TensorOptions().dtype(at::kFloat));
    return values.mul_(scale).add_(offset).to(device_);
  }

  NormParts norm(std::int64_t channels) {
    return {.weight = normal({channels}, 0.2, 1.0).requires_grad_(),
            .bias = normal({channels}, 0.2, 0.1).requires_grad_(),
            .running_mean = normal({channels}, 0.1, 0.0),
            .running_variance = normal({channels}, 0.05, 1.0),
            .batches = at::zeros({}, at::TensorOptions().dtype(at::kLong).device(device_)),
            .epsilon = 1e-5,
            .momentum = 0.1};
  }

  at::Tensor convolution(std::int64_t out, std::int64_t in, std::int64_t kernel) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(in * kernel * kernel));
    return normal({out, in, kernel, kernel}, scale, 0.0).requires_grad_();
  }

  BlockParts block(const Shape& shape) {
    BlockParts parts;
    std::int64_t channels = shape.in;
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
      const std::int64_t width = 4 * shape.growth;
      parts.layers.push_back({.norm1 = norm(channels),
                              .conv1 = convolution(width, channels, 1),
                              .norm2 = norm(width),
                              .conv2 = convolution(shape.growth, width, 3)});
      channels += shape.growth;
    }
    parts.tail = {
        .kind = TailKind::kTransition, .norm = norm(channels), .conv = convolution(channels / 2, channels, 1)};
    return parts;
  }

 private:
  c10::Device device_;
  at::Generator generator_;
};

NormParts as_type(const NormParts& norm, at::ScalarType type) {
  NormParts copy = norm;
  for (at::Tensor* tensor : {&copy.weight, &copy.bias}) *tensor = tensor->detach().to(type).requires_grad_();
  copy.running_mean = norm.running_mean.to(type, /*non_blocking=*/false, /*copy=*/true);
  copy.running_variance = norm.running_variance.to(type, /*non_blocking=*/false, /*copy=*/true);
  copy.batches = norm.batches.clone();
  return copy;
}

/// A copy of the parts whose convolutions have this type; its norms are float, or double beside doubles.
BlockParts as_type(const BlockParts& parts, at::ScalarType type) {
  const auto weight = [&](const at::Tensor& tensor) { return tensor.detach().to(type).requires_grad_(); };
  BlockParts copy = parts;
  for (LayerParts& layer : copy.layers) {
    layer = {.norm1 = as_type(layer.norm1, vector_type(type)),
             .conv1 = weight(layer.conv1),
             .norm2 = as_type(layer.norm2, vector_type(type)),
             .conv2 = weight(layer.conv2)};
  }
  copy.tail.norm = as_type(copy.tail.norm, vector_type(type));
  copy.tail.conv = weight(copy.tail.conv);
  return copy;
}

/// The block in words of the paper.
at::Tensor reference(const BlockParts& parts, const at::Tensor& input, bool training) {
  const auto norm_relu = [&](const NormParts& norm, const at::Tensor& x) {
    return at::batch_norm(x, norm.weight, norm.bias, norm.running_mean, norm.running_variance, training, norm.momentum,
                          norm.epsilon, /*cudnn_enabled=*/false)
        .relu();
  };
  at::Tensor x = input;
  for (const LayerParts& layer : parts.layers) {
    const at::Tensor y = at::conv2d(norm_relu(layer.norm1, x), layer.conv1);
    x = at::cat({x, at::conv2d(norm_relu(layer.norm2, y), layer.conv2, {}, 1, 1)}, 1);
  }
  return at::avg_pool2d(at::conv2d(norm_relu(parts.tail.norm, x), parts.tail.conv), {2, 2}, {2, 2});
}

/// What a block gives, by name.
using Outcome = std::vector<std::pair<std::string, at::Tensor>>;

void add_running(Outcome& outcome, const BlockParts& parts) {
  for (std::size_t index = 0; index < parts.layers.size(); ++index) {
    const std::string name = " of layer " + std::to_string(index + 1);
    const LayerParts& layer = parts.layers[index];
    outcome.emplace_back("norm1's running mean" + name, layer.norm1.running_mean);
    outcome.emplace_back("norm1's running variance" + name, layer.norm1.running_variance);
    outcome.emplace_back("norm2's running mean" + name, layer.norm2.running_mean);
    outcome.emplace_back("norm2's running variance" + name, layer.norm2.running_variance);
  }
}

void add_gradients(Outcome& outcome, const at::Tensor& input, const std::vector<at::Tensor>& parameters) {
  outcome.emplace_back("the input's gradient", input);
  for (std::size_t index = 0; index < parameters.size(); ++index) {
    outcome.emplace_back("the gradient of parameter " + std::to_string(index + 1), parameters[index]);
  }
}

/// What one step through ATen's modules leaves.
Outcome run_modules(const BlockParts& parts, const at::Tensor& given, const at::Tensor& direction) {
  const at::Tensor input = given.detach().requires_grad_();
  const at::Tensor output = reference(parts, input, /*training=*/true);
  Outcome outcome{{"the output", output.detach()}};
  add_running(outcome, parts);
  std::vector<at::Tensor> wanted = parameters_of(parts);
  wanted.insert(wanted.begin(), input);
  const std::vector<at::Tensor> found = torch::autograd::grad({output}, wanted, {direction.to(output.scalar_type())});
  add_gradients(outcome, found.front(), {found.begin() + 1, found.end()});
  const at::NoGradGuard no_grad;
  outcome.emplace_back("the output in evaluation", reference(parts, input, /*training=*/false));
  return outcome;
}

/// The same through the operator.
Outcome run_operator(const std::shared_ptr<const Kernels>& kernels, const BlockParts& parts, const at::Tensor& input,
                     const at::Tensor& direction) {
  const at::NoGradGuard no_grad;
  DeviceTrace trace;
  Outcome outcome{{"the output", run_block_forward(kernels, parts, input, Keep::kAll, trace)}};
  add_running(outcome, parts);
  const BlockGradients gradients = run_block_backward(trace, direction, /*input_wanted=*/true);
  add_gradients(outcome, gradients.input, gradients.parameters);
  outcome.emplace_back("the output in evaluation", DeviceEvaluation().run(*kernels, parts, input));
  return outcome;
}

/// The error of a tensor beside its size, over all values together: one that rounding carries over the ReLU's edge is
/// far off by itself.
double error_of(const at::Tensor& actual, const at::Tensor& truth) {
  const double size = std::max(truth.norm().item<double>(), 1e-6);
  return actual.to(at::kDouble).sub(truth).norm().item<double>() / size;
}

std::string check_shape(const std::shared_ptr<const Kernels>& kernels, const Shape& shape, const c10::Device& device,
                        at::ScalarType type) {
  Maker maker(device);
  const BlockParts parts = maker.block(shape);
  const BlockParts module_parts = as_type(parts, type);
  const BlockParts truth_parts = as_type(parts, at::kDouble);
  const Pixels& pixels = shape.pixels;
  const at::Tensor input = maker.normal({pixels.images, shape.in, pixels.height, pixels.width}, 1.0, 0.5).to(type);
  const at::Tensor direction =
      maker.normal({pixels.images, parts.tail.conv.size(0), pixels.height / 2, pixels.width / 2}, 1.0, 0.0).to(type);
  const Outcome actual = run_operator(kernels, parts, input, direction);
  const Outcome modules = run_modules(module_parts, input, direction);
  const Outcome truth = run_modules(truth_parts, input.to(at::kDouble), direction);
  for (std::size_t index = 0; index < truth.size(); ++index) {
    const double off = error_of(actual[index].second, truth[index].second);
    const double most = (3 * error_of(modules[index].second, truth[index].second)) + small_error(type);
    if (off <= most) continue;  // and not NaN
    std::ostringstream text;
    text << truth[index].first << " is off by " << off << " of its size, more than " << most;
    return text.str();
  }
  return {};
}

}  // namespace

std::string find_fault(const std::shared_ptr<const Kernels>& kernels, const c10::Device& device, at::ScalarType type) {
  const at::AutoGradMode gradients(true);
  const NoAutocast no_autocast;
  try {
    for (const Shape& shape : kShapes) {
      const std::string fault = check_shape(kernels, shape, device, type);
      if (!fault.empty()) return fault;
    }
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace densenet::engine::cuda
