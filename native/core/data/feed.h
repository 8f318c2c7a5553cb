#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/host_tensor.h"

namespace densenet {

/// Who waits for a feed's images: asked again and again meanwhile.
struct Patience {
  std::function<bool()> stop = [] { return false; };  ///< whether to wait no longer
  std::function<void()> pause = [] {};                ///< the time for whatever else waits for the model
};

/// Brings images from whoever decodes them, on any thread, to the thread that trains, while it trains. A pass goes over
/// images in an order that the training thread chooses; its images may come in any order.
class Feed {
 public:
  /// Told on the training thread. How far ahead images may come is the listener's to bound.
  struct Listener {
    /// A pass begins, over these images in this order.
    std::function<void(std::int64_t pass, const std::vector<std::int64_t>& order)> on_pass;
    /// The places below `taken` of the pass are done with.
    std::function<void(std::int64_t pass, std::int64_t taken)> on_taken;
  };

  /// Some of a pass's images: those that were not left out.
  struct Taken {
    at::Tensor images;  ///< M×C×H×W
    at::Tensor places;  ///< M, int64: their places in the pass
  };

  /// @param image_shape C×H×W
  Feed(std::vector<std::int64_t> image_shape, DType dtype);

  void listen(Listener listener) { listener_ = std::move(listener); }

  [[nodiscard]] std::size_t image_bytes() const { return image_bytes_; }

  /// Whoever decodes: an image, of `image_bytes`, or nothing where there is none at this place. What belongs to a pass
  /// that is over is dropped.
  void put(std::int64_t pass, std::int64_t place, std::span<const std::byte> image);

  /// The training thread: ends the pass before and begins one.
  void begin(const std::vector<std::int64_t>& order);

  /// The images at places `first` to below `first + count`, once all have come; nothing when the waiting was stopped.
  std::optional<Taken> take(std::int64_t first, std::int64_t count, const Patience& patience);

 private:
  using Images = std::map<std::int64_t, std::vector<std::byte>>;  // by place; no bytes where it was left out

  std::vector<std::int64_t> image_shape_;
  DType dtype_;
  std::size_t image_bytes_;
  Listener listener_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::int64_t pass_ = 0;
  Images images_;
};

}  // namespace densenet
