#include "core/model/model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/data/images.h"
#include "core/error.h"
#include "core/model/grad_cam.h"
#include "core/model/names.h"
#include "core/model/network.h"
#include "core/runtime/device.h"
#include "core/runtime/free_memory.h"
#include "core/runtime/tensor_copy.h"
#include "core/weights/adapt_input.h"
#include "core/weights/tensor_file.h"

namespace densenet {

namespace {

std::optional<at::Generator> generator_of(std::optional<std::uint64_t> seed) {
  if (!seed) return std::nullopt;
  return at::make_generator<at::CPUGeneratorImpl>(*seed);
}

DType described_type(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kLong ? DType::kInt64 : DType::kFloat32;
}

/// The shape in which an entry comes to the model; empty where it cannot be adapted.
std::vector<std::int64_t> loaded_shape(const TensorEntry& entry) {
  std::vector<std::int64_t> shape = entry.shape;
  if (entry.adapt_channels == 0) return shape;
  if (shape.size() != 4 || shape[1] != 3 || entry.adapt_channels < 0) return {};
  shape[1] = entry.adapt_channels;
  return shape;
}

/// The images on the network's device, checked and ready for it; the network is put into evaluation mode.
at::Tensor prepare(NetworkImpl& network, const Model& model, const HostTensor& images) {
  network.eval();
  const at::Tensor view = view_of(images);
  check_finite(view, "images");
  return to_network_input(view.to(c10::Device(model.device())), model.config());
}

}  // namespace

Model::Model(ModelConfig config, const std::string& device, std::optional<std::uint64_t> seed,
             const RunOptions& options)
    : config_(std::move(config)), network_(std::make_shared<NetworkImpl>(config_)) {
  const c10::Device target = find_device(device);
  device_ = target.str();
  network_->initialize(generator_of(seed));  // on the CPU, so that one seed gives the same weights on every device
  network_->to(target);
  network_->set_run_options(options);
}

Model::~Model() = default;

NetworkImpl& Model::network() const {
  if (!network_) throw Error(code::kDisposed, "the model was disposed of. Create or load another.");
  return *network_;
}

std::string Model::device() const { return device_; }

HostTensor Model::forward(const HostTensor& images) const {
  const torch::NoGradGuard no_grad;
  NetworkImpl& net = network();
  return copy_to_host(net.forward(prepare(net, *this, images)));
}

std::vector<NamedTensor> Model::features(const HostTensor& images, std::span<const std::string> taps,
                                         std::int64_t output_stride) const {
  const torch::NoGradGuard no_grad;
  NetworkImpl& net = network();
  std::vector<NamedTensor> outputs;
  const Tap tap = [&](const std::string& name, const at::Tensor& output) {
    if (std::ranges::find(taps, name) != taps.end()) outputs.push_back({.name = name, .tensor = copy_to_host(output)});
  };
  const at::Tensor input = prepare(net, *this, images);
  if (output_stride == 0) {
    net.forward(input, tap);
  } else {
    net.dilated_features(input, tap, output_stride);
  }
  return outputs;
}

Model::SeenClasses Model::grad_cam(const HostTensor& images, const std::string& part,
                                   const std::vector<std::int64_t>& classes, bool full_size, bool as_bytes) const {
  NetworkImpl& net = network();
  const HeatMaps found = densenet::grad_cam(net, prepare(net, *this, images), part, classes);
  at::Tensor maps = found.maps;
  if (full_size) {
    maps = at::upsample_bilinear2d(maps.unsqueeze(1), {images.shape.at(2), images.shape.at(3)},
                                   /*align_corners=*/false)
               .squeeze(1);
  }
  if (as_bytes) {
    const at::Tensor hottest = maps.amax({1, 2}, /*keepdim=*/true);
    maps = (maps / at::where(hottest.gt(0), hottest, at::ones_like(hottest)) * 255.0).round_().to(at::kByte);
  }
  return {.maps = copy_to_host(maps), .classes = found.classes};
}

TopClasses Model::predict(const HostTensor& images, std::int64_t k) const {
  const torch::NoGradGuard no_grad;
  NetworkImpl& net = network();
  const at::Tensor logits = net.forward(prepare(net, *this, images));
  const auto [probability, index] = at::softmax(logits, 1, at::kFloat).topk(k, 1);
  const at::Tensor probabilities = probability.to(at::kCPU).contiguous();
  const at::Tensor indices = index.to(at::kCPU).contiguous();
  const std::span<const float> values{probabilities.const_data_ptr<float>(),
                                      static_cast<std::size_t>(probabilities.numel())};
  const std::span<const std::int64_t> places{indices.const_data_ptr<std::int64_t>(),
                                             static_cast<std::size_t>(indices.numel())};
  return {.images = logits.size(0),
          .k = k,
          .index = {places.begin(), places.end()},
          .probability = {values.begin(), values.end()}};
}

std::vector<StateInfo> Model::describe_state() const {
  std::vector<StateInfo> infos;
  for (const StateEntry& entry : state_of(network())) {
    infos.push_back({.name = entry.name,
                     .shape = entry.tensor.sizes().vec(),
                     .dtype = described_type(entry.tensor),
                     .is_parameter = entry.is_parameter});
  }
  return infos;
}

std::vector<NamedTensor> Model::state() const {
  std::vector<NamedTensor> tensors;
  for (const StateEntry& entry : state_of(network())) {
    tensors.push_back({.name = entry.name, .tensor = copy_to_host(entry.tensor)});
  }
  return tensors;
}

std::vector<NamedTensor> Model::gradients() const {
  std::vector<NamedTensor> tensors;
  for (const auto& item : network().named_parameters()) {
    const at::Tensor& gradient = item.value().grad();
    if (gradient.defined()) tensors.push_back({.name = item.key(), .tensor = copy_to_host(gradient)});
  }
  return tensors;
}

void Model::load(const std::string& path, std::span<const TensorEntry> entries,
                 std::span<const std::string> zeros) const {
  const torch::NoGradGuard no_grad;
  std::unordered_map<std::string, at::Tensor> own;
  for (const StateEntry& entry : state_of(network())) own.emplace(entry.name, entry.tensor);
  for (const TensorEntry& entry : entries) {
    const auto found = own.find(entry.name);
    if (found == own.end() || found->second.sizes() != at::IntArrayRef(loaded_shape(entry))) {
      throw Error(code::kInternal, "tensor " + entry.name + " does not fit the model.");
    }
  }
  for (const std::string& name : zeros) {
    if (!own.contains(name)) throw Error(code::kInternal, "the model has no tensor " + name + ".");
  }
  // The reader has read everything once, and what takes memory is done, before the first is copied: a load that fails
  // leaves the model as it was.
  const TensorReader reader(path, entries);
  std::unordered_map<std::string, at::Tensor> adapted;
  for (const TensorEntry& entry : entries) {
    if (entry.adapt_channels != 0) adapted.emplace(entry.name, adapt_input(reader.read(entry), entry.adapt_channels));
  }
  for (const TensorEntry& entry : entries) {
    const auto changed = adapted.find(entry.name);
    own.at(entry.name).copy_(changed == adapted.end() ? reader.read(entry) : changed->second);
  }
  for (const std::string& name : zeros) own.at(name).zero_();
}

void Model::save(const std::string& path, std::span<const FilePiece> pieces) const {
  std::vector<at::Tensor> tensors;
  for (const StateEntry& entry : state_of(network())) tensors.push_back(entry.tensor);
  write_pieces(path, pieces, tensors);
}

void Model::set_trainable(const std::string& prefix, bool trainable, bool adapting) const {
  network().set_adapting(prefix, adapting && !trainable);
  for (const auto& item : network().named_parameters()) {
    if (!is_below(item.key(), prefix)) continue;
    at::Tensor const parameter = item.value();
    parameter.requires_grad_(trainable);
    if (!trainable) parameter.mutable_grad() = at::Tensor();
  }
}

std::int64_t Model::predict_memory(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  return network().predict_memory(batch, height, width);
}

std::vector<PartPlan> Model::plan_step(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  return network().plan_step(batch, height, width);
}

std::optional<std::int64_t> Model::fitting_batch(std::int64_t height, std::int64_t width) const {
  const std::int64_t free = free_memory();
  if (free == 0) return std::nullopt;
  // The prediction holds within a tenth, and not all that is free lies together.
  const auto fits = [&](std::int64_t batch) { return predict_memory(batch, height, width) <= free / 20 * 17; };
  constexpr std::int64_t most = 1'000'000;  // a batch beyond all sense, where the search may end
  std::int64_t fitting = 0;
  std::int64_t step = 1;
  while (step < most && fits(step)) step *= 2;
  for (; step > 0; step /= 2) {
    if (fits(fitting + step)) fitting += step;
  }
  return fitting;
}

void Model::replace_classifier(std::int64_t num_classes, std::optional<std::uint64_t> seed) {
  network().replace_classifier(num_classes, generator_of(seed));
  config_.num_classes = num_classes;
}

}  // namespace densenet
