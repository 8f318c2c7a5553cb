#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/host_tensor.h"
#include "core/model/config.h"
#include "core/model/run_options.h"
#include "core/model/step_plan.h"
#include "core/weights/file_piece.h"
#include "core/weights/tensor_entry.h"

namespace densenet {

class NetworkImpl;

/// A parameter or buffer, described.
struct StateInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  DType dtype;
  bool is_parameter;
};

/// What a prediction says of each image: the most probable classes, best first.
struct TopClasses {
  std::int64_t images = 0;
  std::int64_t k = 0;               ///< classes an image
  std::vector<std::int64_t> index;  ///< images × k
  std::vector<float> probability;   ///< images × k
};

/// A network on a device, in terms of ordinary memory: what the binding calls. Not safe for several threads; the
/// binding calls it from the model's own worker only. After `release` every call throws ERR_DISPOSED.
class Model {
 public:
  /// Draws the weights from `seed`, or from libtorch's default generator where there is none.
  Model(ModelConfig config, const std::string& device, std::optional<std::uint64_t> seed, const RunOptions& options);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  Model(Model&&) = delete;
  Model& operator=(Model&&) = delete;

  /// Logits N×classes of images N×C×H×W, in evaluation mode.
  HostTensor forward(const HostTensor& images) const;

  /// The outputs of the named parts, in evaluation mode. A part is a child of `features`, such as `denseblock2`.
  /// `output_stride`: how many pixels of the image a pixel of the last ones stands for; 0 for the network's own.
  std::vector<NamedTensor> features(const HostTensor& images, std::span<const std::string> taps,
                                    std::int64_t output_stride) const;

  /// Where in the images the network sees a class, see grad_cam, and the class of each: N×H×W in the images'
  /// size, or N×h×w in the part's; as bytes they are brought to 0 to 255 by each one's hottest place.
  struct SeenClasses {
    HostTensor maps;
    std::vector<std::int64_t> classes;
  };
  [[nodiscard]] SeenClasses grad_cam(const HostTensor& images, const std::string& part,
                                     const std::vector<std::int64_t>& classes, bool full_size, bool as_bytes) const;

  /// The `k` most probable classes of each image; `k` is at most the number of classes.
  TopClasses predict(const HostTensor& images, std::int64_t k) const;

  /// Every parameter and buffer, in the order of PyTorch's state dict.
  [[nodiscard]] std::vector<StateInfo> describe_state() const;
  [[nodiscard]] std::vector<NamedTensor> state() const;

  /// The gradient of each parameter that has one since the last training step.
  [[nodiscard]] std::vector<NamedTensor> gradients() const;

  /// Copies the entries' tensors into the parameters and buffers of the same names and shapes, and sets those named in
  /// `zeros` to 0: all or none. Needs memory for the largest of them beside the model's own.
  void load(const std::string& path, std::span<const TensorEntry> entries, std::span<const std::string> zeros) const;

  /// Writes a file of pieces; they count the state's tensors in the order of `describe_state`.
  void save(const std::string& path, std::span<const FilePiece> pieces) const;

  /// Lets the parameters at or below `prefix` learn, or not; an empty prefix means all. Batch norms that do not learn
  /// keep their running statistics too, unless `adapting`.
  void set_trainable(const std::string& prefix, bool trainable, bool adapting) const;

  void replace_classifier(std::int64_t num_classes, std::optional<std::uint64_t> seed);

  /// The bytes that a training step on images of this size takes at its peak, beyond the model at rest.
  [[nodiscard]] std::int64_t predict_memory(std::int64_t batch, std::int64_t height, std::int64_t width) const;

  /// How a training step on such images would run, part by part.
  [[nodiscard]] std::vector<PartPlan> plan_step(std::int64_t batch, std::int64_t height, std::int64_t width) const;

  /// The largest batch of such images for which that is free; 0 where not even one image fits, nothing where the system
  /// does not say what is free.
  [[nodiscard]] std::optional<std::int64_t> fitting_batch(std::int64_t height, std::int64_t width) const;

  /// Gives the memory back.
  void release() noexcept { network_.reset(); }

  [[nodiscard]] const ModelConfig& config() const { return config_; }
  [[nodiscard]] std::string device() const;

  /// For the training code. Throws ERR_DISPOSED after `release`.
  [[nodiscard]] NetworkImpl& network() const;

 private:
  ModelConfig config_;
  std::string device_;
  std::shared_ptr<NetworkImpl> network_;
};

}  // namespace densenet
