#include "binding/convert.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <utility>

#include "binding/fields.h"
#include "binding/task.h"
#include "core/error.h"

namespace densenet::binding {

namespace {

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
  tensor.data = run_now(array.Env(), [&] {
    return std::make_shared_for_overwrite<std::byte[]>(tensor.bytes);  // NOLINT(modernize-avoid-c-arrays)
  });
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

Napi::Array to_js(Napi::Env env, const std::vector<double>& values) {
  const Napi::Array array = Napi::Array::New(env, values.size());
  for (std::uint32_t index = 0; index < values.size(); ++index) {
    array.Set(index, Napi::Number::New(env, values[index]));
  }
  return array;
}

namespace {

/// V8 ends the process where it gets no memory for a buffer. It asks malloc, so that is asked first whether it has as
/// much, and some for what V8 does besides.
void require_memory(std::size_t bytes) {
  constexpr std::size_t kLittle = std::size_t{16} << 10U;
  constexpr std::size_t kSpare = std::size_t{8} << 20U;
  if (bytes < kLittle) return;
  void* volatile room = std::malloc(bytes + kSpare);  // NOLINT: volatile, or the compiler leaves both calls out
  if (room == nullptr) throw std::bad_alloc();
  std::free(room);  // NOLINT
}

}  // namespace

Napi::Object to_js(Napi::Env env, const HostTensor& tensor) {
  // A copy into JavaScript's own memory: Electron allows no buffer outside of it.
  require_memory(tensor.bytes);
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

}  // namespace densenet::binding
