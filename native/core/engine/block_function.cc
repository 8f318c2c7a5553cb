#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>
#include <torch/utils.h>

#include <utility>
#include <variant>

#include "core/engine/block.h"
#include "core/engine/cuda/autocast.h"
#include "core/engine/cuda/block.h"
#include "core/error.h"

namespace densenet::engine {

namespace {

/// A trace in the form in which autograd's context keeps what is no tensor.
struct HeldTrace final : torch::CustomClassHolder {
  std::variant<std::monostate, BlockTrace, cuda::DeviceTrace> trace;
};

/// The block in autograd's graph. Its inputs are the block's input and then `parameters_of` its parts.
class BlockFunction final : public torch::autograd::Function<BlockFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            at::TensorList /*parameters*/, const BlockParts* parts, Keep keep) {
    const auto held = c10::make_intrusive<HeldTrace>();
    at::Tensor output;
    {
      // No operation in here is autograd's business, not even that the output is a view of the block's buffer.
      const at::AutoDispatchBelowADInplaceOrView below_autograd;
      const cuda::NoAutocast no_autocast;
      if (auto kernels = cuda::kernels_for(input.device())) {
        output =
            cuda::run_block_forward(std::move(kernels), *parts, input, keep, held->trace.emplace<cuda::DeviceTrace>());
      } else {
        output = run_block_forward(*parts, input, keep, held->trace.emplace<BlockTrace>());
      }
    }
    if (keep != Keep::kNothing) context->saved_data["trace"] = c10::IValue::make_capsule(held);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list output_gradients) {
    const auto held = c10::static_intrusive_pointer_cast<HeldTrace>(context->saved_data.at("trace").toCapsule());
    // The trace is given up as it is used: a layer's memory is free as soon as its gradients are there.
    auto trace = std::exchange(held->trace, {});
    const cuda::NoAutocast no_autocast;
    BlockGradients gradients;
    if (auto* cpu = std::get_if<BlockTrace>(&trace)) {
      gradients = run_block_backward(*cpu, output_gradients.at(0), context->needs_input_grad(0));
    } else if (auto* device = std::get_if<cuda::DeviceTrace>(&trace)) {
      gradients = cuda::run_block_backward(*device, output_gradients.at(0), context->needs_input_grad(0));
    } else {
      throw Error(code::kInternal, "the gradient of a dense block was asked for a second time.");
    }
    torch::autograd::variable_list list{gradients.input};
    list.insert(list.end(), gradients.parameters.begin(), gradients.parameters.end());
    list.resize(list.size() + 2);  // the parts and `keep` have no gradient
    return list;
  }
};

}  // namespace

at::Tensor block_forward(const BlockParts& parts, const at::Tensor& input, bool keep_products) {
  const std::vector<at::Tensor> parameters = parameters_of(parts);
  const bool learns = at::GradMode::is_enabled() &&
                      (input.requires_grad() || std::ranges::any_of(parameters, [](const at::Tensor& tensor) {
                         return tensor.requires_grad();
                       }));
  const Keep kept = keep_products ? Keep::kAll : Keep::kBlock;
  // On the CPU the engine is not used under autocast; on a device the block takes on its type.
  return BlockFunction::apply(input.to(cuda::block_type(input)), at::TensorList(parameters), &parts,
                              learns ? kept : Keep::kNothing);
}

}  // namespace densenet::engine
