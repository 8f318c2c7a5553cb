/// Holds the engine against the module-by-module reference, without Node. Prints one line of JSON a check; the exit
/// code says whether all held. test/native/engine.test.ts builds and runs it.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <string>

#include "core/engine/cpu/kernels.h"
#include "network_cases.h"
#include "report.h"

namespace {

namespace engine = densenet::engine;

void check_against_reference(const Case& one) {
  const Outcome reference = train_once(one, at::kDouble, Implementation::kReference, MemoryMode::kFast);
  for (const MemoryMode memory : {MemoryMode::kFast, MemoryMode::kEfficient}) {
    const double off = difference(train_once(one, at::kDouble, Implementation::kAuto, memory), reference);
    const char* mode = memory == MemoryMode::kFast ? "fast" : "efficient";
    report(one.name + ": double precision, " + mode, off < 1e-8, off);
  }
  const Outcome plain = train_once(one, at::kFloat, Implementation::kReference, MemoryMode::kFast);
  const double rounding = difference(plain, reference);
  for (const engine::Isa isa : engine::supported_isas()) {
    engine::use_isa(isa);
    const double off = difference(train_once(one, at::kFloat, Implementation::kAuto, MemoryMode::kFast), reference);
    report(one.name + ": float, " + engine::name_of(isa) + " (the reference is " + std::to_string(rounding) + " off)",
           off < (4 * rounding) + 1e-5, off);
  }
}

void check_repeats(const Case& one) {
  const int threads = at::get_num_threads();
  const Outcome first = train_once(one, at::kFloat, Implementation::kAuto, MemoryMode::kFast);
  report(one.name + ": repeats bit for bit",
         identical(first, train_once(one, at::kFloat, Implementation::kAuto, MemoryMode::kFast)), 0.0);
  report(one.name + ": efficient and fast are the same bit for bit",
         identical(first, train_once(one, at::kFloat, Implementation::kAuto, MemoryMode::kEfficient)), 0.0);
  at::set_num_threads(1);
  const Outcome alone = train_once(one, at::kFloat, Implementation::kAuto, MemoryMode::kFast);
  at::set_num_threads(threads);
  const double off = difference(alone, first);
  // ATen's own operations, such as the stem's convolution, share their sums out among threads; the blocks do not.
  const bool stem_of_aten = one.config.stem == Stem::kImageNet;
  report(one.name + ": hardly depends on the number of threads", off < (stem_of_aten ? 1e-2 : 1e-5), off);
}

}  // namespace

int main() {
  for (const Case& one : cases()) check_against_reference(one);
  for (const Case& one : cases()) check_repeats(one);
  return all_held ? 0 : 1;
}
