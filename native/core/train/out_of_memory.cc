#include "core/train/out_of_memory.h"

#include <optional>
#include <string>
#include <string_view>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "core/engine/buffer.h"
#include "core/error.h"
#include "core/runtime/failure.h"
#include "core/runtime/free_memory.h"

namespace densenet {

namespace {

std::string advice(std::optional<std::int64_t> fitting, std::int64_t batch) {
  if (!fitting) return "Use a smaller batch or smaller images.";
  if (*fitting == 0) return "Not even one such image fits; use smaller images or a smaller model.";
  return "A batch of " + std::to_string(*fitting) + " would fit" + (*fitting < batch ? "." : " as the memory is now.");
}

[[noreturn]] void throw_out_of_memory(const std::string& what, const Model& model, at::IntArrayRef images) {
  const std::string size = std::to_string(images[2]) + "×" + std::to_string(images[3]);
  throw Error(code::kOutOfMemory, what + " " + std::to_string(images[0]) + " images of " + size + ". " +
                                      advice(model.fitting_batch(images[2], images[3]), images[0]));
}

}  // namespace

void refuse_beyond_memory(const Model& model, at::IntArrayRef images) {
  if (model.device() != "cpu") return;
  std::int64_t kept = 0;
  for (const PartPlan& part : model.plan_step(images[0], images[2], images[3])) kept += part.kept;
  constexpr std::int64_t kLittle = 128'000'000;  // not worth asking the system, which takes as long as a small step
  if (kept < kLittle) return;
  const std::int64_t reachable = reachable_memory();
  if (reachable == 0 || kept <= reachable + engine::kept_buffers()) return;
  throw_out_of_memory("there is not enough memory for a training step on", model, images);
}

bool is_out_of_memory(const std::exception_ptr& exception) {
  return std::string_view(describe_failure(exception).code) == code::kOutOfMemory;
}

void rethrow_with_advice(const std::exception_ptr& exception, const Model& model, at::IntArrayRef images) {
  if (!is_out_of_memory(exception)) std::rethrow_exception(exception);
  engine::release_buffers();
#ifdef __GLIBC__
  malloc_trim(0);  // what the tensors of the step left behind, which a container counts
#endif
  throw_out_of_memory("the memory ran out in a training step on", model, images);
}

}  // namespace densenet
