#include "device.cuh"

#include <ucontext.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace densenet::cuda {

namespace emulation {

namespace {

constexpr int kLanes = 32;
constexpr std::size_t kStackBytes = std::size_t{64} << 10U;

enum class State : std::uint8_t { kRunning, kAtBlock, kAtWarp, kDone };

struct Copy {
  void* target;
  const void* source;
};

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<unsigned char[]> stack = std::make_unique<unsigned char[]>(kStackBytes);
  State state = State::kDone;
  dim3 index;
  std::vector<Copy> copies;
};

struct Machine {
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::size_t running = 0;
  std::size_t threads = 0;
  ucontext_t scheduler{};
  dim3 block;
  dim3 size;
  std::vector<std::array<unsigned char, 128>> exchange;
  const std::function<void()>* kernel = nullptr;
  bool backwards = false;
};

Machine machine;  // NOLINT: one machine; tests run on one thread

Fiber& own() { return *machine.fibers[machine.running]; }

[[noreturn]] void fail(const char* reason) {
  std::fprintf(stderr, "the emulated GPU: %s\n", reason);
  std::abort();
}

void enter() {
  (*machine.kernel)();
  if (!own().copies.empty()) fail("a thread ended without waiting for its copies");
  own().state = State::kDone;
  setcontext(&machine.scheduler);
}

void wait(State state) {
  own().state = state;
  swapcontext(&own().context, &machine.scheduler);
}

/// Lets those go on that wait with all others of their group; threads that are done keep no one waiting.
bool release(std::size_t first, std::size_t end, State state) {
  bool any = false;
  for (std::size_t thread = first; thread < end; ++thread) {
    const State found = machine.fibers[thread]->state;
    if (found != state && found != State::kDone) return false;
    any = any || found == state;
  }
  for (std::size_t thread = first; thread < end && any; ++thread) {
    if (machine.fibers[thread]->state == state) machine.fibers[thread]->state = State::kRunning;
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
  machine.exchange.resize(machine.threads);
  for (;;) {
    bool ran = false;
    for (std::size_t turn = 0; turn < machine.threads; ++turn) {
      machine.running = machine.backwards ? machine.threads - 1 - turn : turn;
      if (own().state != State::kRunning) continue;
      ran = true;
      swapcontext(&machine.scheduler, &own().context);
    }
    bool released = false;
    for (std::size_t first = 0; first < machine.threads; first += kLanes) {
      released |= release(first, std::min(first + kLanes, machine.threads), State::kAtWarp);
    }
    if (!released) released = release(0, machine.threads, State::kAtBlock);
    if (!ran && !released) break;
  }
  for (std::size_t thread = 0; thread < machine.threads; ++thread) {
    if (machine.fibers[thread]->state != State::kDone) fail("threads wait at different barriers");
  }
}

}  // namespace

dim3& thread_index() { return own().index; }
dim3& block_index() { return machine.block; }
dim3& block_size() { return machine.size; }

void wait_for_block() { wait(State::kAtBlock); }
void wait_for_warp() { wait(State::kAtWarp); }

unsigned char* warp_memory(int lane) {
  return machine.exchange[(machine.running / kLanes * kLanes) + static_cast<std::size_t>(lane)].data();
}

int own_lane() { return static_cast<int>(machine.running % kLanes); }

void copy_later(void* target, const void* source) {
  if (reinterpret_cast<std::uintptr_t>(target) % 16 != 0 || reinterpret_cast<std::uintptr_t>(source) % 16 != 0) {
    fail("a copy of 16 bytes is not aligned");
  }
  std::memset(target, 0xff, 16);  // NaN until it is there
  own().copies.push_back({target, source});
}

void make_copies() {
  for (const Copy& copy : own().copies) std::memcpy(copy.target, copy.source, 16);
  own().copies.clear();
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

void load_matrices(uint32_t (&registers)[4], const void* row) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) emulation::fail("ldmatrix: a row is not aligned to 16 bytes");
  const int lane = emulation::own_lane();
  std::memcpy(emulation::warp_memory(lane), row, 16);
  emulation::wait_for_warp();
  for (int matrix = 0; matrix < 4; ++matrix) {
    const unsigned char* source = emulation::warp_memory((matrix * 8) + (lane / 4)) + (std::ptrdiff_t{4} * (lane % 4));
    std::memcpy(&registers[matrix], source, 4);
  }
  emulation::wait_for_warp();
}

void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float (*value)(uint16_t)) {
  const int lane = emulation::own_lane();
  const uint32_t own[6] = {a[0], a[1], a[2], a[3], b0, b1};
  std::memcpy(emulation::warp_memory(lane), own, sizeof(own));
  emulation::wait_for_warp();
  // The element of A or B that register `place` of a lane holds in its lower or upper half.
  const auto element = [&](int of_lane, int place, int upper) {
    uint32_t word = 0;
    std::memcpy(&word, emulation::warp_memory(of_lane) + (std::ptrdiff_t{4} * place), 4);
    return value(static_cast<uint16_t>(upper == 0 ? word & 0xffffU : word >> 16U));
  };
  const auto a_at = [&](int row, int k) {
    return element((row % 8 * 4) + (k % 8 / 2), (row / 8) + (k / 8 * 2), k % 2);
  };
  const auto b_at = [&](int k, int column) { return element((column * 4) + (k % 8 / 2), 4 + (k / 8), k % 2); };
  for (int place = 0; place < 4; ++place) {
    const int row = (lane / 4) + (place / 2 * 8);
    const int column = (lane % 4 * 2) + (place % 2);
    for (int k = 0; k < 16; ++k) c[place] += a_at(row, k) * b_at(k, column);
  }
  emulation::wait_for_warp();
}

}  // namespace densenet::cuda
