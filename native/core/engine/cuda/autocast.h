#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace densenet::engine::cuda {

/// While it lives autocast casts nothing: a block chooses its types itself.
class NoAutocast {
 private:
  c10::impl::ExcludeDispatchKeyGuard guard_{c10::autocast_dispatch_keyset};
};

/// The type that a block computes in on such an input: autocast's, where it is on.
at::ScalarType block_type(const at::Tensor& input);

}  // namespace densenet::engine::cuda
