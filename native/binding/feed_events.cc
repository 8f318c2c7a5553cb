#include "binding/feed_events.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "binding/convert.h"

namespace densenet::binding {

FeedEvents::FeedEvents(const Napi::Function& listener, std::shared_ptr<Channel> channel)
    : listener_(Napi::Persistent(listener)), channel_(std::move(channel)) {
  // The last owner may be a native thread, which must not touch JavaScript; `release` lets go in time.
  listener_.SuppressDestruct();
}

Feed::Listener FeedEvents::listener_of(const std::shared_ptr<FeedEvents>& events) {
  const auto tell = [events](std::int64_t pass, const char* key, const auto& convert) {
    events->channel_->post([events, pass, key, convert](Napi::Env env) {
      if (events->listener_.IsEmpty()) return;
      const Napi::Object event = Napi::Object::New(env);
      event.Set("pass", static_cast<double>(pass));
      event.Set(key, convert(env));
      events->listener_.Call({event});
    });
  };
  return {.on_pass =
              [tell](std::int64_t pass, const std::vector<std::int64_t>& order) {
                tell(pass, "order", [order](Napi::Env env) -> Napi::Value { return to_js(env, order); });
              },
          .on_taken =
              [tell](std::int64_t pass, std::int64_t taken) {
                tell(pass, "taken", [taken](Napi::Env env) -> Napi::Value {
                  return Napi::Number::New(env, static_cast<double>(taken));
                });
              }};
}

}  // namespace densenet::binding
