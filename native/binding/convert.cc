#include "binding/convert.h"

#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include "binding/task.h"
#include "core/error.h"

namespace densenet::binding {

namespace {

double number(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::Number>().DoubleValue(); }

std::int64_t integer(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Number>().Int64Value();
}

bool boolean(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::Boolean>().Value(); }

std::string text(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::String>().Utf8Value(); }

template <class Number>
std::vector<Number> numbers(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<Number> list;
  list.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    list.push_back(static_cast<Number>(array.Get(index).As<Napi::Number>().DoubleValue()));
  }
  return list;
}

DType dtype_of(const Napi::TypedArray& array) {
  switch (array.TypedArrayType()) {
    case napi_float32_array:
      return DType::kFloat32;
    case napi_float64_array:
      return DType::kFloat64;
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return DType::kUInt8;
    case napi_int32_array:
      return DType::kInt32;
    case napi_bigint64_array:
      return DType::kInt64;
    default:
      throw Napi::TypeError::New(array.Env(), "a tensor of this kind of typed array is not supported");
  }
}

napi_typedarray_type array_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return napi_float32_array;
    case DType::kFloat64:
      return napi_float64_array;
    case DType::kUInt8:
      return napi_uint8_array;
    case DType::kInt32:
      return napi_int32_array;
    case DType::kInt64:
      return napi_bigint64_array;
  }
  return napi_uint8_array;
}

FileDType to_file_dtype(Napi::Env env, const std::string& name) {
  static const std::map<std::string, FileDType> names{
      {"F64", FileDType::kF64}, {"F32", FileDType::kF32},   {"F16", FileDType::kF16}, {"BF16", FileDType::kBF16},
      {"I64", FileDType::kI64}, {"I32", FileDType::kI32},   {"I16", FileDType::kI16}, {"I8", FileDType::kI8},
      {"U8", FileDType::kU8},   {"BOOL", FileDType::kBool},
  };
  const auto found = names.find(name);
  if (found == names.end()) throw Napi::TypeError::New(env, "unknown element type " + name);
  return found->second;
}

OptimizerOptions::Kind to_optimizer_kind(const std::string& type) {
  if (type == "sgd") return OptimizerOptions::Kind::kSgd;
  return type == "adam" ? OptimizerOptions::Kind::kAdam : OptimizerOptions::Kind::kAdamW;
}

OptimizerOptions to_optimizer_options(const Napi::Object& object) {
  OptimizerOptions options;
  options.kind = to_optimizer_kind(text(object, "type"));
  options.learning_rate = number(object, "lr");
  options.weight_decay = number(object, "weightDecay");
  const auto groups = object.Get("groups").As<Napi::Array>();
  for (std::uint32_t index = 0; index < groups.Length(); ++index) {
    const auto group = groups.Get(index).As<Napi::Object>();
    options.groups.push_back({.prefix = text(group, "prefix"),
                              .learning_rate = number(group, "lr"),
                              .weight_decay = number(group, "weightDecay")});
  }
  if (options.kind == OptimizerOptions::Kind::kSgd) {
    options.momentum = number(object, "momentum");
    options.nesterov = boolean(object, "nesterov");
  } else {
    const auto betas = numbers<double>(object.Get("betas"));
    options.beta1 = betas.at(0);
    options.beta2 = betas.at(1);
    options.epsilon = number(object, "eps");
  }
  return options;
}

ScheduleOptions to_schedule_options(const Napi::Object& object) {
  ScheduleOptions options;
  const std::string type = text(object, "type");
  if (type == "step") {
    options.kind = ScheduleOptions::Kind::kStep;
    options.step_size = integer(object, "stepSize");
    options.gamma = number(object, "gamma");
  } else if (type == "cosine") {
    options.kind = ScheduleOptions::Kind::kCosine;
    options.length = integer(object, "epochs");
    options.minimum = number(object, "minLr");
  }
  return options;
}

}  // namespace

HostTensor to_host_tensor(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  const auto array = object.Get("data").As<Napi::TypedArray>();
  HostTensor tensor;
  tensor.dtype = dtype_of(array);
  tensor.shape = numbers<std::int64_t>(object.Get("shape"));
  tensor.bytes = array.ByteLength();
  // TypeScript has checked this, of a value that JavaScript may have changed since; what follows trusts it.
  std::size_t needed = element_size(tensor.dtype);
  for (const std::int64_t length : tensor.shape) {
    if (length < 0 || __builtin_mul_overflow(needed, static_cast<std::size_t>(length), &needed)) needed = SIZE_MAX;
  }
  if (needed != tensor.bytes) {
    throw Napi::Error(array.Env(), to_js_error(array.Env(), {.code = code::kInvalidArgument,
                                                             .message = "a tensor's values do not agree with its "
                                                                        "shape. Do not change it during the call."}));
  }
  // Copied at once: JavaScript may change or transfer its array while the call waits.
  tensor.data = std::make_shared_for_overwrite<std::byte[]>(tensor.bytes);  // NOLINT(modernize-avoid-c-arrays)
  const auto* bytes = static_cast<const std::byte*>(array.ArrayBuffer().Data());
  if (tensor.bytes > 0) std::memcpy(tensor.data.get(), bytes + array.ByteOffset(), tensor.bytes);
  return tensor;
}

ModelConfig to_model_config(const Napi::Object& object) {
  ModelConfig config;
  config.growth_rate = integer(object, "growthRate");
  config.block_config = numbers<std::int64_t>(object.Get("blockConfig"));
  config.init_channels = integer(object, "initChannels");
  config.bottleneck = boolean(object, "bottleneck");
  config.bottleneck_size = integer(object, "bottleneckSize");
  config.compression = number(object, "compression");
  config.drop_rate = number(object, "dropRate");
  config.drop_placement =
      text(object, "dropPlacement") == "layer" ? DropPlacement::kLayer : DropPlacement::kConvolution;
  config.stem = text(object, "stem") == "imagenet" ? Stem::kImageNet : Stem::kCifar;
  config.in_channels = integer(object, "inChannels");
  config.num_classes = integer(object, "numClasses");
  config.initialization =
      text(object, "initialization") == "torchvision" ? Initialization::kTorchvision : Initialization::kFanOut;
  const Napi::Value normalization = object.Get("normalization");
  if (normalization.IsObject()) {
    config.mean = numbers<double>(normalization.As<Napi::Object>().Get("mean"));
    config.std = numbers<double>(normalization.As<Napi::Object>().Get("std"));
  }
  return config;
}

RunOptions to_run_options(const Napi::Object& object) {
  RunOptions options;
  if (text(object, "implementation") == "reference") options.implementation = Implementation::kReference;
  const std::string memory = text(object, "memory");
  if (memory == "fast") options.memory = MemoryMode::kFast;
  if (memory == "efficient") options.memory = MemoryMode::kEfficient;
  return options;
}

TrainerOptions to_trainer_options(const Napi::Object& object) {
  TrainerOptions options;
  options.optimizer = to_optimizer_options(object.Get("optimizer").As<Napi::Object>());
  options.schedule = to_schedule_options(object.Get("schedule").As<Napi::Object>());
  options.label_smoothing = number(object, "labelSmoothing");
  options.seed = to_seed(object.Get("seed"));
  return options;
}

FitPlan to_fit_plan(const Napi::Object& object) {
  FitPlan plan;
  plan.epochs = integer(object, "epochs");
  plan.batch_size = integer(object, "batchSize");
  plan.smallest_batch = integer(object, "smallestBatch");
  const std::string order = text(object, "order");
  plan.order = order == "given" ? Order::kGiven : order == "balanced" ? Order::kBalanced : Order::kShuffled;
  plan.augmentations = to_augmentations(object.Get("augmentations").As<Napi::Array>());
  const auto parts = object.Get("unfreezing").As<Napi::Array>();
  for (std::uint32_t index = 0; index < parts.Length(); ++index) {
    const auto part = parts.Get(index).As<Napi::Object>();
    plan.unfreezing.push_back({.epoch = integer(part, "epoch"), .prefix = text(part, "prefix")});
  }
  plan.feature_cache_bytes = integer(object, "featureCacheBytes");
  return plan;
}

PicturePlan to_picture_plan(const Napi::Object& object) {
  return {.height = integer(object, "height"),
          .width = integer(object, "width"),
          .resize_size = integer(object, "resizeSize"),
          .bicubic = text(object, "interpolation") == "bicubic"};
}

std::vector<TensorEntry> to_tensor_entries(const Napi::Array& array) {
  std::vector<TensorEntry> entries;
  entries.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::HandleScope scope(array.Env());
    const auto object = array.Get(index).As<Napi::Object>();
    const Napi::Value adapt = object.Get("adapt");
    entries.push_back({.name = text(object, "name"),
                       .dtype = to_file_dtype(array.Env(), text(object, "dtype")),
                       .shape = numbers<std::int64_t>(object.Get("shape")),
                       .strides = numbers<std::int64_t>(object.Get("strides")),
                       .offset = static_cast<std::uint64_t>(integer(object, "offset")),
                       .bytes = static_cast<std::uint64_t>(integer(object, "bytes")),
                       .adapt_channels = adapt.IsObject() ? integer(adapt.As<Napi::Object>(), "inChannels") : 0});
  }
  return entries;
}

std::vector<FilePiece> to_file_pieces(const Napi::Array& array) {
  std::vector<FilePiece> pieces;
  pieces.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::HandleScope scope(array.Env());
    const Napi::Value value = array.Get(index);
    FilePiece piece;
    if (value.IsTypedArray()) {
      const auto bytes = value.As<Napi::Uint8Array>();
      const auto* data = reinterpret_cast<const std::byte*>(bytes.Data());
      piece.bytes.assign(data, data + bytes.ByteLength());
    } else {
      const auto object = value.As<Napi::Object>();
      const bool checksum = object.Has("crc32");
      piece.kind = checksum ? FilePiece::Kind::kChecksum : FilePiece::Kind::kTensor;
      piece.tensor = static_cast<std::size_t>(integer(object, checksum ? "crc32" : "tensor"));
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

std::vector<std::int64_t> to_integers(const Napi::Array& array) { return numbers<std::int64_t>(array); }

std::vector<std::string> to_strings(const Napi::Array& array) {
  std::vector<std::string> strings;
  strings.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    strings.push_back(array.Get(index).As<Napi::String>().Utf8Value());
  }
  return strings;
}

std::optional<std::uint64_t> to_seed(const Napi::Value& value) {
  if (value.IsUndefined()) return std::nullopt;
  return static_cast<std::uint64_t>(value.As<Napi::Number>().Int64Value());
}

Napi::Array to_js(Napi::Env env, const std::vector<std::int64_t>& values) {
  const Napi::Array array = Napi::Array::New(env, values.size());
  for (std::uint32_t index = 0; index < values.size(); ++index) {
    array.Set(index, Napi::Number::New(env, static_cast<double>(values[index])));
  }
  return array;
}

Napi::Object to_js(Napi::Env env, const HostTensor& tensor) {
  // A copy into JavaScript's own memory: Electron allows no buffer outside of it.
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, tensor.bytes);
  if (tensor.bytes > 0) std::memcpy(buffer.Data(), tensor.data.get(), tensor.bytes);
  napi_value array = nullptr;
  const napi_status status = napi_create_typedarray(env, array_type(tensor.dtype),
                                                    tensor.bytes / element_size(tensor.dtype), buffer, 0, &array);
  NAPI_THROW_IF_FAILED(env, status, Napi::Object());
  const Napi::Object object = Napi::Object::New(env);
  object.Set("data", array);
  object.Set("shape", to_js(env, tensor.shape));
  return object;
}

Napi::Array to_js(Napi::Env env, const std::vector<NamedTensor>& tensors) {
  const Napi::Array array = Napi::Array::New(env, tensors.size());
  for (std::uint32_t index = 0; index < tensors.size(); ++index) {
    const Napi::HandleScope scope(env);
    const Napi::Array pair = Napi::Array::New(env, 2);
    pair.Set(0U, Napi::String::New(env, tensors[index].name));
    pair.Set(1U, to_js(env, tensors[index].tensor));
    array.Set(index, pair);
  }
  return array;
}

Napi::Object to_js(Napi::Env env, const Metrics& metrics) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("loss", metrics.loss);
  object.Set("top1", metrics.top1);
  object.Set("size", static_cast<double>(metrics.size));
  return object;
}

Napi::Object to_js(Napi::Env env, const Evaluation& evaluation) {
  const Napi::Object object = to_js(env, evaluation.metrics);
  object.Set("top5", evaluation.top5);
  object.Set("confusion", to_js(env, evaluation.confusion));
  return object;
}

}  // namespace densenet::binding
