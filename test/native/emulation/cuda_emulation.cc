#include "device.cuh"

#include <ucontext.h>

#include <memory>
#include <vector>

namespace densenet::cuda {

namespace emulation {

namespace {

constexpr std::size_t kStackBytes = std::size_t{64} << 10U;

enum class State : std::uint8_t { kRunning, kAtBarrier, kDone };

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<unsigned char[]> stack = std::make_unique<unsigned char[]>(kStackBytes);
  State state = State::kDone;
  dim3 index;
};

struct Machine {
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::size_t running = 0;
  std::size_t threads = 0;
  ucontext_t scheduler{};
  dim3 block;
  dim3 size;
  const std::function<void()>* kernel = nullptr;
  bool backwards = false;
};

Machine machine;  // NOLINT: one machine; tests run on one thread

Fiber& own() { return *machine.fibers[machine.running]; }

void enter() {
  (*machine.kernel)();
  own().state = State::kDone;
  setcontext(&machine.scheduler);
}

/// Lets the threads go on once all wait; those that are done keep no one waiting.
bool release() {
  bool any = false;
  for (std::size_t thread = 0; thread < machine.threads; ++thread) {
    State& state = machine.fibers[thread]->state;
    if (state != State::kAtBarrier) continue;
    state = State::kRunning;
    any = true;
  }
  return any;
}

void run_block() {
  for (std::size_t thread = 0; thread < machine.threads; ++thread) {
    if (thread == machine.fibers.size()) machine.fibers.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *machine.fibers[thread];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
    fiber.state = State::kRunning;
    const auto number = static_cast<unsigned>(thread);
    fiber.index = {number % machine.size.x, number / machine.size.x, 0};
  }
  do {
    for (std::size_t turn = 0; turn < machine.threads; ++turn) {
      machine.running = machine.backwards ? machine.threads - 1 - turn : turn;
      if (own().state == State::kRunning) swapcontext(&machine.scheduler, &own().context);
    }
  } while (release());
}

}  // namespace

dim3& thread_index() { return own().index; }
dim3& block_index() { return machine.block; }
dim3& block_size() { return machine.size; }

void wait_for_block() {
  own().state = State::kAtBarrier;
  swapcontext(&own().context, &machine.scheduler);
}

void run_blocks(dim3 grid, dim3 block, const std::function<void()>& kernel) {
  machine.kernel = &kernel;
  machine.size = block;
  machine.threads = std::size_t{block.x} * block.y;
  for (unsigned y = 0; y < grid.y; ++y) {
    for (unsigned x = 0; x < grid.x; ++x) {
      machine.block = {x, y, 0};
      run_block();
    }
  }
}

void run_backwards(bool backwards) { machine.backwards = backwards; }

}  // namespace emulation

}  // namespace densenet::cuda
