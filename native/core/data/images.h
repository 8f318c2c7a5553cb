#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "core/host_tensor.h"
#include "core/model/config.h"

namespace densenet {

/// Turns images, N×C×H×W on any device, into what the network takes: float32. Raw pixels (uint8) are scaled to [0, 1]
/// and normalised by the configuration's mean and standard deviation; floating-point images are taken as they are.
at::Tensor to_network_input(const at::Tensor& images, const ModelConfig& config);

/// The same for many batches: what it takes of the configuration lies on the device.
class Normalization {
 public:
  Normalization(const ModelConfig& config, c10::Device device);
  [[nodiscard]] at::Tensor apply(const at::Tensor& images) const;

 private:
  at::Tensor mean_;  ///< undefined for no normalisation
  at::Tensor std_;
};

/// Throws ERR_NON_FINITE_INPUT, naming the first image, where floating-point images hold NaN or an infinity.
void check_finite(const at::Tensor& images, const char* what);

}  // namespace densenet
