#pragma once

#include <functional>
#include <optional>

#include "core/data/batches.h"
#include "core/model/model.h"
#include "core/train/evaluation.h"

namespace densenet {

/// Goes once over batches in evaluation mode, in float32. The loss is the plain one of its kind: without label
/// smoothing, weights or focus. `pooled` batches hold pooled features. `stop` ends it early: nothing comes back.
std::optional<Evaluation> evaluate(const Model& model, BatchSource& source, bool pooled,
                                   const EvaluationOptions& options, const std::function<bool()>& stop);

}  // namespace densenet
