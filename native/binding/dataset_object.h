#pragma once

#include <napi.h>

#include <memory>

#include "core/data/dataset.h"

namespace densenet::binding {

/// A data set's memory outside of JavaScript, filled piece by piece so that no call keeps the event loop busy.
class DatasetObject final : public Napi::ObjectWrap<DatasetObject> {
 public:
  static Napi::Function define(Napi::Env env);

  /// new NativeDataset(imageShape, isUint8, labelColumns): memory for the images N×C×H×W and their labels, N×columns
  /// or, for 0 columns, N class indices.
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

  std::shared_ptr<Dataset> dataset_;
};

/// The data set behind a NativeDataset; none for anything else.
DatasetPtr dataset_of(const Napi::Value& value);

}  // namespace densenet::binding
