#pragma once

#include <napi.h>

#include <memory>

#include "binding/environment.h"
#include "core/data/feed.h"

namespace densenet::binding {

/// Tells a JavaScript listener what a feed asks for.
class FeedEvents {
 public:
  FeedEvents(const Napi::Function& listener, std::shared_ptr<Channel> channel);

  /// What the feed calls, on the thread that trains.
  static Feed::Listener listener_of(const std::shared_ptr<FeedEvents>& events);

  /// Lets go of the listener, on the JavaScript thread; later events are dropped.
  void release() { listener_.Reset(); }

 private:
  Napi::FunctionReference listener_;  // JavaScript thread only
  std::shared_ptr<Channel> channel_;
};

}  // namespace densenet::binding
