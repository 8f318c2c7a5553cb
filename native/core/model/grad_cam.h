#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/network.h"

namespace densenet {

/// Where in an image the network sees a class.
struct HeatMaps {
  at::Tensor maps;                    ///< N×h×w, at least 0: as large as the part's output
  std::vector<std::int64_t> classes;  ///< N: the class of each
};

/// Grad-CAM (Selvaraju et al., "Grad-CAM", 2017, equations 1 and 2): a part's channels, each weighted by the mean
/// gradient of the class's logit, summed, and what speaks against the class cut off. In evaluation mode, module by
/// module.
/// @param images N×C×H×W, ready for the network
/// @param classes one an image, or -1 for the most probable
HeatMaps grad_cam(NetworkImpl& network, const at::Tensor& images, const std::string& part,
                  const std::vector<std::int64_t>& classes);

}  // namespace densenet
