#include "core/train/evaluate.h"

#include <torch/utils.h>

#include "core/data/images.h"
#include "core/model/network.h"

namespace densenet {

std::optional<Evaluation> evaluate(const Model& model, BatchSource& source, bool pooled,
                                   const EvaluationOptions& options, const std::function<bool()>& stop) {
  const torch::NoGradGuard no_grad;
  NetworkImpl& network = model.network();
  const ModelConfig& config = model.config();
  EvaluationSum sum(config.num_classes, options);
  source.start_epoch({});
  while (const std::optional<Batch> batch = source.next()) {
    if (stop()) return std::nullopt;
    network.eval();  // a call in a pause may have changed the mode
    sum.add(pooled ? network.classify(batch->images) : network.forward(to_network_input(batch->images, config)),
            batch->labels);
  }
  if (stop()) return std::nullopt;  // a feed's batches end with the waiting for them, too
  return sum.result();
}

}  // namespace densenet
