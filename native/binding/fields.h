#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

/// Fields of objects that TypeScript has checked.
namespace densenet::binding {

inline double number(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Number>().DoubleValue();
}

inline std::int64_t integer(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Number>().Int64Value();
}

inline bool boolean(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::Boolean>().Value(); }

inline std::string text(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::String>().Utf8Value();
}

inline Napi::Object object_in(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Object>();
}

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

}  // namespace densenet::binding
