#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "core/data/batches.h"
#include "core/data/images.h"
#include "core/model/model.h"
#include "core/train/cuda_graph.h"
#include "core/train/loss.h"
#include "core/train/optimizer.h"
#include "core/train/options.h"
#include "core/train/scaler.h"
#include "core/train/training_state.h"
#include "core/train/weight_average.h"

namespace densenet {

/// The result of one optimizer step.
struct StepResult {
  double loss = 0.0;         ///< mean of the step's images
  std::int64_t correct = 0;  ///< images that were right, see Loss::count_correct
  std::int64_t size = 0;     ///< images in the step
};

/// A model in training: takes one optimizer step after the other. It knows nothing of epochs.
class Learner {
 public:
  Learner(std::shared_ptr<Model> model, const TrainerOptions& options);

  /// Takes over the parameters that the model has now.
  void follow();

  /// One optimizer step on the batches together: their gradients are those of one batch that holds all their images
  /// (batch norm aside, which sees each by itself). `pooled` batches hold pooled features, not images. A step that
  /// fails leaves weights, statistics and optimizer as they were.
  StepResult step(std::span<const Batch> batches, bool pooled, const Rates& rates);

  [[nodiscard]] Model& model() const { return *model_; }
  [[nodiscard]] const std::shared_ptr<Model>& shared_model() const { return model_; }
  [[nodiscard]] c10::Device device() const { return device_; }
  [[nodiscard]] const Optimizer& optimizer() const { return optimizer_; }
  [[nodiscard]] const Loss& loss() const { return loss_; }
  [[nodiscard]] WeightAverage& average() { return average_; }

  /// The network in training mode, ready for a forward pass.
  NetworkImpl& prepare_network();

  void save_state(TrainingState& state) const;
  void load_state(const TrainingState& state);

 private:
  StepResult try_step(std::span<const Batch> batches, bool pooled, const Rates& rates);
  void check_memory(std::span<const Batch> batches);
  /// Adds a batch's gradients. Gives its loss and how many images were right, and with `last` the norm of all
  /// gradients, as one double tensor on the device: whoever reads it waits for the device, which once a step is enough.
  at::Tensor add_gradients(const at::Tensor& images, const at::Tensor& labels, bool pooled, double weight, bool last);
  /// The same of a step's only batch, by a CUDA graph.
  at::Tensor replay(const Batch& batch, double weight);
  [[nodiscard]] at::Tensor input_of(const at::Tensor& images, bool pooled) const;
  [[nodiscard]] bool scales() const { return options_.precision == Precision::kFloat16; }
  /// Clips the gradients, whose norm this is where none is scaled, and moves the weights; false where the scaler had
  /// the step left out.
  bool move(const Rates& rates, double norm);

  std::shared_ptr<Model> model_;
  TrainerOptions options_;
  c10::Device device_;
  Optimizer optimizer_;
  Loss loss_;
  WeightAverage average_;
  GradientScaler scaler_;
  at::Generator dropout_generator_;  // on the device
  StepGraphs graphs_;
  std::vector<at::Tensor> parameters_;  // the network's, and what its forward pass changes: walking it takes long
  std::vector<at::Tensor> buffers_;
  Normalization normalization_;
  bool moving_ = false;                // whether the step has begun to move weights
  std::vector<std::int64_t> fitting_;  // the images that memory was last seen to be there for
};

/// The seed that the options give, or one from libtorch's default generator, so that `manualSeed` decides it.
std::uint64_t seed_of(const TrainerOptions& options);

}  // namespace densenet
