#include "core/train/out_of_memory.h"

#include <string>
#include <string_view>

#include "core/error.h"
#include "core/runtime/failure.h"

namespace densenet {

void rethrow_with_advice(const std::exception_ptr& exception, const Model& model, at::IntArrayRef images) {
  const Failure failure = describe_failure(exception);
  if (std::string_view(failure.code) != code::kOutOfMemory) std::rethrow_exception(exception);
  const std::int64_t fitting = model.fitting_batch(images[2], images[3]);
  const std::string size = std::to_string(images[2]) + "×" + std::to_string(images[3]);
  const std::string advice = fitting == 0 ? "Not even one such image fits; use smaller images or a smaller model."
                                          : "A batch of " + std::to_string(fitting) + " would fit" +
                                                (fitting < images[0] ? "." : " as the memory is now.");
  throw Error(code::kOutOfMemory, "the memory ran out in a training step on " + std::to_string(images[0]) +
                                      " images of " + size + ". " + advice);
}

}  // namespace densenet
