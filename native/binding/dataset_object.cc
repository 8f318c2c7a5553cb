#include "binding/dataset_object.h"

#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "binding/convert.h"
#include "binding/environment.h"
#include "binding/task.h"

namespace densenet::binding {

namespace {

HostTensor allocate(DType dtype, std::vector<std::int64_t> shape) {
  HostTensor tensor{.dtype = dtype, .shape = std::move(shape), .data = {}, .bytes = element_size(dtype)};
  for (const std::int64_t length : tensor.shape) tensor.bytes *= static_cast<std::size_t>(length);
  tensor.data = std::make_shared_for_overwrite<std::byte[]>(tensor.bytes);  // NOLINT(modernize-avoid-c-arrays)
  return tensor;
}

std::span<const std::byte> bytes_of(const Napi::Value& value) {
  const auto array = value.As<Napi::TypedArray>();
  return {static_cast<const std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

void copy_into(Napi::Env env, HostTensor& tensor, std::size_t offset, std::span<const std::byte> piece) {
  if (offset > tensor.bytes || piece.size() > tensor.bytes - offset) {
    throw Napi::RangeError::New(env, "the piece does not fit the data set");
  }
  if (!piece.empty()) std::memcpy(tensor.data.get() + offset, piece.data(), piece.size());
}

}  // namespace

Napi::Function DatasetObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativeDataset",
      {InstanceMethod<&DatasetObject::write_images>("writeImages"),
       InstanceMethod<&DatasetObject::write_labels>("writeLabels"),
       InstanceMethod<&DatasetObject::feed_image>("feedImage"), InstanceMethod<&DatasetObject::end_feed>("endFeed")});
}

DatasetObject::DatasetObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DatasetObject>(info) {
  std::vector<std::int64_t> shape;
  const auto lengths = info[0].As<Napi::Array>();
  shape.reserve(lengths.Length());
  for (std::uint32_t axis = 0; axis < lengths.Length(); ++axis) {
    shape.push_back(lengths.Get(axis).As<Napi::Number>().Int64Value());
  }
  const DType dtype = info[1].As<Napi::Boolean>().Value() ? DType::kUInt8 : DType::kFloat32;
  const std::int64_t columns = info[2].As<Napi::Number>().Int64Value();
  dataset_ = run_now(info.Env(), [&] {
    auto dataset = std::make_shared<Dataset>();
    dataset->labels =
        columns == 0 ? allocate(DType::kInt32, {shape.at(0)}) : allocate(DType::kFloat32, {shape.at(0), columns});
    if (info[3].IsFunction()) {
      dataset->feed = std::make_shared<Feed>(std::vector<std::int64_t>(shape.begin() + 1, shape.end()), dtype);
    } else {
      dataset->images = allocate(dtype, shape);
    }
    return dataset;
  });
  if (!dataset_->feed) return;
  events_ = std::make_shared<FeedEvents>(info[3].As<Napi::Function>(), Environment::of(info.Env()).channel());
  dataset_->feed->listen(FeedEvents::listener_of(events_));
}

DatasetObject::~DatasetObject() {  // NOLINT(bugprone-exception-escape): its lock can only fail on a broken mutex
  if (events_) events_->release();
}

void DatasetObject::write_images(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<std::size_t>(info[0].As<Napi::Number>().Int64Value());
  copy_into(info.Env(), dataset_->images, offset, bytes_of(info[1]));
}

void DatasetObject::write_labels(const Napi::CallbackInfo& info) {
  copy_into(info.Env(), dataset_->labels, 0, bytes_of(info[0]));
}

void DatasetObject::feed_image(const Napi::CallbackInfo& info) {
  const std::int64_t pass = info[0].As<Napi::Number>().Int64Value();
  const std::int64_t place = info[1].As<Napi::Number>().Int64Value();
  const std::span<const std::byte> image = info[2].IsUndefined() ? std::span<const std::byte>() : bytes_of(info[2]);
  if (!image.empty() && image.size() != dataset_->feed->image_bytes()) {
    throw Napi::RangeError::New(info.Env(), "the image is not of the data set's shape");
  }
  run_now(info.Env(), [&] { dataset_->feed->put(pass, place, image); });
}

void DatasetObject::end_feed(const Napi::CallbackInfo& /*info*/) {
  if (events_) events_->release();
}

DatasetPtr dataset_of(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  return Napi::ObjectWrap<DatasetObject>::Unwrap(value.As<Napi::Object>())->dataset();
}

}  // namespace densenet::binding
