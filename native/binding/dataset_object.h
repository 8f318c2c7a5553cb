#pragma once

#include <napi.h>

#include <memory>

#include "binding/feed_events.h"
#include "core/data/dataset.h"

namespace densenet::binding {

/// A data set outside of JavaScript: its memory, filled piece by piece so that no call keeps the event loop busy; or a
/// feed, for which JavaScript decodes images while a run goes on.
class DatasetObject final : public Napi::ObjectWrap<DatasetObject> {
 public:
  static Napi::Function define(Napi::Env env);

  /// new NativeDataset(imageShape, isUint8, labelColumns, listener): memory for the images N×C×H×W and their labels,
  /// N×columns or, for 0 columns, N class indices. With a listener the images are fed: it is called with
  /// { pass, order } and { pass, taken }.
  explicit DatasetObject(const Napi::CallbackInfo& info);
  ~DatasetObject() override;
  DatasetObject(const DatasetObject&) = delete;
  DatasetObject& operator=(const DatasetObject&) = delete;
  DatasetObject(DatasetObject&&) = delete;
  DatasetObject& operator=(DatasetObject&&) = delete;

  [[nodiscard]] DatasetPtr dataset() const { return dataset_; }

 private:
  /// writeImages(byteOffset, piece), writeLabels(labels)
  void write_images(const Napi::CallbackInfo& info);
  void write_labels(const Napi::CallbackInfo& info);

  /// feedImage(pass, place, image): undefined for an image that is left out
  void feed_image(const Napi::CallbackInfo& info);

  /// endFeed(): no event follows. The listener, which knows this object, would keep it for ever.
  void end_feed(const Napi::CallbackInfo& info);

  std::shared_ptr<Dataset> dataset_;
  std::shared_ptr<FeedEvents> events_;  // of a feed
};

/// The data set behind a NativeDataset; none for anything else.
DatasetPtr dataset_of(const Napi::Value& value);

}  // namespace densenet::binding
