#include <map>
#include <string>

#include "binding/convert.h"
#include "binding/fields.h"

namespace densenet::binding {

namespace {

Range range(const Napi::Object& object, const char* key) {
  const auto pair = object.Get(key).As<Napi::Array>();
  return {.low = pair.Get(0U).As<Napi::Number>().DoubleValue(), .high = pair.Get(1U).As<Napi::Number>().DoubleValue()};
}

Operation to_operation(const std::string& name) {
  static const std::map<std::string, Operation> names{
      {"shearX", Operation::kShearX},         {"shearY", Operation::kShearY},
      {"translateX", Operation::kTranslateX}, {"translateY", Operation::kTranslateY},
      {"rotate", Operation::kRotate},         {"brightness", Operation::kBrightness},
      {"color", Operation::kColor},           {"contrast", Operation::kContrast},
      {"sharpness", Operation::kSharpness},   {"posterize", Operation::kPosterize},
      {"solarize", Operation::kSolarize},     {"autoContrast", Operation::kAutoContrast},
      {"equalize", Operation::kEqualize},
  };
  const auto found = names.find(name);
  return found == names.end() ? Operation::kIdentity : found->second;
}

}  // namespace

Augmentation to_augmentation(const Napi::Object& object) {
  const std::string type = text(object, "type");
  if (type == "randomCrop") return RandomCrop{.padding = integer(object, "padding")};
  if (type == "randomHorizontalFlip" || type == "randomVerticalFlip") {
    return RandomFlip{.horizontal = type == "randomHorizontalFlip", .probability = number(object, "probability")};
  }
  if (type == "randomResizedCrop") {
    const Range size = range(object, "size");
    return RandomResizedCrop{.height = static_cast<std::int64_t>(size.low),
                             .width = static_cast<std::int64_t>(size.high),
                             .scale = range(object, "scale"),
                             .ratio = range(object, "ratio"),
                             .bicubic = text(object, "interpolation") == "bicubic"};
  }
  if (type == "randomAffine") {
    const Range translate = range(object, "translate");
    return RandomAffine{.degrees = number(object, "degrees"),
                        .scale = range(object, "scale"),
                        .shear = number(object, "shear"),
                        .translate_x = translate.low,
                        .translate_y = translate.high};
  }
  if (type == "colorJitter") {
    return ColorJitter{.brightness = range(object, "brightness"),
                       .contrast = range(object, "contrast"),
                       .saturation = range(object, "saturation"),
                       .hue = range(object, "hue")};
  }
  if (type == "randomErasing") {
    const Napi::Value value = object.Get("value");
    return RandomErasing{.probability = number(object, "probability"),
                         .scale = range(object, "scale"),
                         .ratio = range(object, "ratio"),
                         .value = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0.0,
                         .noise = !value.IsNumber()};
  }
  if (type == "randAugment") {
    return RandAugment{.operations = integer(object, "operations"),
                       .magnitude = integer(object, "magnitude"),
                       .bins = integer(object, "bins")};
  }
  if (type == "trivialAugment") return TrivialAugment{.bins = integer(object, "bins")};
  return FixedOperation{.operation = to_operation(text(object, "operation")), .magnitude = number(object, "magnitude")};
}

std::vector<Augmentation> to_augmentations(const Napi::Array& array) {
  std::vector<Augmentation> changes;
  changes.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    changes.push_back(to_augmentation(array.Get(index).As<Napi::Object>()));
  }
  return changes;
}

}  // namespace densenet::binding
