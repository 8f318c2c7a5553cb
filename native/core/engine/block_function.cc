#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>
#include <torch/utils.h>

#include <utility>

#include "core/engine/block.h"
#include "core/error.h"

namespace densenet::engine {

namespace {

/// A trace in the form in which autograd's context keeps what is no tensor.
struct HeldTrace final : torch::CustomClassHolder {
  BlockTrace trace;
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
      output = run_block_forward(*parts, input, keep, held->trace);
    }
    if (keep != Keep::kNothing) context->saved_data["trace"] = c10::IValue::make_capsule(held);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list output_gradients) {
    const auto held = c10::static_intrusive_pointer_cast<HeldTrace>(context->saved_data.at("trace").toCapsule());
    // The trace is given up as it is used: a layer's memory is free as soon as its gradients are there.
    BlockTrace trace = std::exchange(held->trace, {});
    if (trace.layers.empty()) {
      throw Error(code::kInternal, "the gradient of a dense block was asked for a second time.");
    }
    BlockGradients gradients = run_block_backward(trace, output_gradients.at(0), context->needs_input_grad(0));
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
  return BlockFunction::apply(input, at::TensorList(parameters), &parts, learns ? kept : Keep::kNothing);
}

}  // namespace densenet::engine
