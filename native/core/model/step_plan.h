#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/config.h"

namespace densenet {

/// What computes a part of the network in a training step.
enum class PartRun : std::uint8_t {
  kEngine,     ///< the engine
  kOperator,   ///< one operator of libtorch, on the engine's way and on that of the modules alike
  kReference,  ///< its modules, since they were asked for
  kDevice,     ///< its modules, since the engine does not cover the device
  kTooSmall,   ///< its modules, since one pixel is left, which no batch norm can be trained on
  kFrozenMix,  ///< its modules, since some of it is frozen while it, or what comes before it, learns
  kDropout,    ///< its modules, since dropout stands before its pooling
};

/// A part of the network in a training step.
struct PartPlan {
  std::string name;
  PartRun run = PartRun::kEngine;
  std::int64_t kept = 0;  ///< bytes of the forward pass that are kept for the backward pass
};

/// The parts of a network in the order in which they run: conv0, of the ImageNet stem norm0 and pool0 with it, then
/// each block and what follows it, the classifier last.
std::vector<std::string> part_names(const ModelConfig& config);

/// The bytes that each of them keeps of the forward pass for the backward pass when it runs module by module: what
/// autograd saves of each operator, tensors that several of them save counted once.
std::vector<std::int64_t> modules_kept_memory(const ModelConfig& config, std::int64_t batch, std::int64_t height,
                                              std::int64_t width);

}  // namespace densenet
