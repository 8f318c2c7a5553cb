#pragma once

#include <torch/nn/modules/linear.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/features.h"
#include "core/model/run_options.h"
#include "core/model/step_plan.h"

namespace densenet {

/// A whole DenseNet: features, ReLU, global average pooling and a linear classifier. N×Cin×H×W to logits N×classes.
class NetworkImpl : public torch::nn::Module {
 public:
  explicit NetworkImpl(const ModelConfig& config);

  at::Tensor forward(const at::Tensor& images, const Tap& tap = nullptr);

  /// See FeaturesImpl::forward_dilated.
  at::Tensor dilated_features(const at::Tensor& images, const Tap& tap, std::int64_t output_stride) {
    return features_->forward_dilated(images, tap, output_stride);
  }

  /// As `forward`, module by module, and nothing that a tap sees is changed afterwards: so that gradients of it can be
  /// had.
  at::Tensor forward_modules(const at::Tensor& images, const Tap& tap);

  /// The two halves of `forward`: what the classifier reads, N×C, and what it makes of that.
  at::Tensor pooled_features(const at::Tensor& images, const Tap& tap = nullptr);
  at::Tensor classify(const at::Tensor& pooled) { return classifier_->forward(pooled); }

  /// Training mode; but batch norms whose weights are frozen go on with their running statistics, unless they
  /// were set to adapt.
  void train_unfrozen();

  /// Which batch norms train, a letter each: what decides, besides the parameters, how a training step runs.
  [[nodiscard]] std::string describe_modes() const;

  /// Whether batch norms at or below `prefix` take their statistics from the batches although they are frozen.
  void set_adapting(const std::string& prefix, bool adapting);

  /// C of the pooled features.
  [[nodiscard]] std::int64_t feature_channels() const { return features_->out_channels(); }

  /// Whether training leaves everything before the classifier as it is, so that an image always gives the same
  /// features.
  [[nodiscard]] bool features_are_fixed() const;

  /// Puts a new classifier, with fresh weights, in the place of the old one.
  void replace_classifier(std::int64_t num_classes, std::optional<at::Generator> generator);

  /// Draws every weight anew.
  void initialize(const std::optional<at::Generator>& generator);

  /// The source of every dropout mask; nothing for libtorch's default generator.
  void set_dropout_generator(std::optional<at::Generator> generator) { dropout_->generator = std::move(generator); }

  /// Whether a training step on images of this size keeps the 1×1 convolutions' outputs for its backward pass.
  [[nodiscard]] bool keeps_products(std::int64_t batch, std::int64_t height, std::int64_t width) const;

  /// The bytes that such a step takes at its peak, beyond the model at rest; module by module an upper bound.
  [[nodiscard]] std::int64_t predict_memory(std::int64_t batch, std::int64_t height, std::int64_t width) const;

  /// How a training step on such images would run, as parts are frozen now. It leaves the network in training mode.
  [[nodiscard]] std::vector<PartPlan> plan_step(std::int64_t batch, std::int64_t height, std::int64_t width);

  void set_run_options(const RunOptions& options) { run_options_ = options; }

  [[nodiscard]] bool has_dropout() const { return dropout_->rate > 0.0; }

 private:
  /// Whether the engine covers this call: on the CPU, or on a device where it is on; and no gradient through batch
  /// norms in evaluation.
  [[nodiscard]] bool engine_covers(const at::Tensor& images) const;

  /// Values in the parameters that learn.
  [[nodiscard]] std::int64_t count_learning() const;

  ModelConfig config_;
  RunOptions run_options_;
  DropoutPtr dropout_;
  Initialization initialization_;
  struct Norm {
    std::string name;
    std::shared_ptr<torch::nn::BatchNorm2dImpl> module;
    bool adapting = false;  // follows the data even when it is frozen
  };
  std::vector<Norm> norms_;
  mutable std::map<std::array<std::int64_t, 3>, bool> kept_on_device_;  // what keeps_products decided, once a size
  Features features_{nullptr};
  torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(Network);

/// A parameter or buffer under its name in torchvision's state dict.
struct StateEntry {
  std::string name;
  at::Tensor tensor;
  bool is_parameter;
};

/// All parameters and buffers in the order of PyTorch's `state_dict()`: module by module, parameters before buffers.
std::vector<StateEntry> state_of(const torch::nn::Module& module);

}  // namespace densenet
