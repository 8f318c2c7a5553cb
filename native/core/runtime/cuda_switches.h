#pragma once

#include <string_view>

namespace densenet {

/// Whether a way of computing on CUDA is on: where the environment variable LIBTORCH_DENSENET_CUDA is set it must name
/// it, as in `engine,graphs`, or be `all`; any other word, such as `none`, names nothing. The names are `engine` (a
/// dense block as one operator on kernels of our own), `graphs` (a training step's passes as a CUDA graph) and
/// `prefetch` (the next batch goes to the device while a step runs). docs/guides/cuda.md says what each is.
bool is_switched_on(std::string_view name);

/// The same of a given list.
bool is_listed(std::string_view list, std::string_view name);

}  // namespace densenet
