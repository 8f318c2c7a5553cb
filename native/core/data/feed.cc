#include "core/data/feed.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "core/runtime/tensor_copy.h"

namespace densenet {

namespace {

/// How long it waits before it looks after whatever else there is to do.
constexpr std::chrono::milliseconds kPatience{5};

}  // namespace

Feed::Feed(std::vector<std::int64_t> image_shape, DType dtype)
    : image_shape_(std::move(image_shape)), dtype_(dtype), image_bytes_(element_size(dtype)) {
  for (const std::int64_t length : image_shape_) image_bytes_ *= static_cast<std::size_t>(length);
}

void Feed::put(std::int64_t pass, std::int64_t place, std::span<const std::byte> image) {
  std::vector<std::byte> copy(image.begin(), image.end());  // outside of the lock
  {
    const std::scoped_lock lock(mutex_);
    if (pass != pass_) return;
    images_.insert_or_assign(place, std::move(copy));
  }
  arrived_.notify_one();
}

void Feed::begin(const std::vector<std::int64_t>& order) {
  {
    const std::scoped_lock lock(mutex_);
    ++pass_;
    images_.clear();
  }
  if (listener_.on_pass) listener_.on_pass(pass_, order);
}

std::optional<Feed::Taken> Feed::take(std::int64_t first, std::int64_t count, const Patience& patience) {
  Images taken;
  {
    std::unique_lock lock(mutex_);
    const auto complete = [&] {
      return std::distance(images_.lower_bound(first), images_.lower_bound(first + count)) == count;
    };
    while (!complete()) {
      if (arrived_.wait_for(lock, kPatience, complete)) break;
      lock.unlock();
      if (patience.stop()) return std::nullopt;
      patience.pause();
      lock.lock();
    }
    const auto end = images_.lower_bound(first + count);
    for (auto image = images_.lower_bound(first); image != end;) taken.insert(images_.extract(image++));
  }
  std::erase_if(taken, [](const auto& image) { return image.second.empty(); });
  HostTensor images{.dtype = dtype_, .shape = image_shape_, .data = {}, .bytes = taken.size() * image_bytes_};
  images.shape.insert(images.shape.begin(), static_cast<std::int64_t>(taken.size()));
  images.data = std::make_shared_for_overwrite<std::byte[]>(images.bytes);  // NOLINT(modernize-avoid-c-arrays)
  std::vector<std::int64_t> places;
  for (const auto& [place, bytes] : taken) {
    std::memcpy(images.data.get() + (places.size() * image_bytes_), bytes.data(), image_bytes_);
    places.push_back(place);
  }
  if (listener_.on_taken) listener_.on_taken(pass_, first + count);
  return Taken{.images = view_of(images), .places = at::tensor(places, at::kLong)};
}

}  // namespace densenet
