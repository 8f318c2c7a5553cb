#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace densenet::engine {

/// Work, in multiply-adds, that is worth waking another thread for.
inline constexpr std::int64_t kWorkOfThread = 200'000;

/// What it costs to move a value about, in multiply-adds.
inline constexpr std::int64_t kMove = 8;

/// Calls f(item, slot) for every item, on ATen's threads, as many as `work` (in multiply-adds) is worth; two items with
/// one slot never run at once, so that a slot can own scratch memory. Which thread takes which item is left to chance:
/// results may depend on the item only.
template <class F>
void for_items(std::int64_t items, std::int64_t work, const F& f) {
  const std::int64_t worth = (work / kWorkOfThread) + 1;
  const std::int64_t threads = std::min({static_cast<std::int64_t>(at::get_num_threads()), items, worth});
  std::atomic<std::int64_t> next{0};
  // Only the number counts: what items leave is seen by others when the threads meet, at the end.
  const auto take = [&] { return next.fetch_add(1, std::memory_order_relaxed); };
  const auto run_slots = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t slot = begin; slot < end; ++slot) {
      for (std::int64_t item = take(); item < items; item = take()) f(item, slot);
    }
  };
  if (threads > 1) {
    at::parallel_for(0, threads, 1, run_slots);
  } else {
    run_slots(0, 1);
  }
}

/// A range of whole numbers.
struct Range {
  std::int64_t begin;
  std::int64_t end;

  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

/// The part with this index when `count` things are split into nearly equal parts.
inline Range part_of(std::int64_t count, std::int64_t parts, std::int64_t index) {
  return {.begin = count * index / parts, .end = count * (index + 1) / parts};
}

/// Into how many parts to split the columns of each of `tiles` tiles, so that every thread finds work. It may depend on
/// the number of threads, since no sum goes across columns.
inline std::int64_t column_parts(std::int64_t tiles, std::int64_t panels, std::int64_t fewest_panels) {
  const std::int64_t wanted = ((std::int64_t{4} * at::get_num_threads()) + tiles - 1) / tiles;
  return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, panels / fewest_panels));
}

}  // namespace densenet::engine
