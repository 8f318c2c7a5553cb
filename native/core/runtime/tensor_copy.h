#pragma once

#include <ATen/core/Tensor.h>

#include "core/host_tensor.h"

namespace densenet {

/// A tensor over the host tensor's own memory, without a copy; it keeps that memory alive.
at::Tensor view_of(const HostTensor& host);

/// A copy of a tensor, from any device and layout, in ordinary memory. Half precision becomes float32, bool uint8.
HostTensor copy_to_host(const at::Tensor& tensor);

}  // namespace densenet
