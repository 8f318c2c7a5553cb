#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/pictures.h"
#include "core/host_tensor.h"
#include "core/model/config.h"
#include "core/model/run_options.h"
#include "core/train/metrics.h"
#include "core/train/options.h"
#include "core/train/rate_finder.h"
#include "core/weights/file_piece.h"
#include "core/weights/tensor_entry.h"

/// Between JavaScript's values and the core's structures. TypeScript has checked every value before it comes here.
namespace densenet::binding {

HostTensor to_host_tensor(const Napi::Value& value);
ModelConfig to_model_config(const Napi::Object& object);
RunOptions to_run_options(const Napi::Object& object);
ScheduleOptions to_schedule_options(const Napi::Object& object);
TrainerOptions to_trainer_options(const Napi::Object& object);
FitPlan to_fit_plan(const Napi::Object& object);
std::vector<Augmentation> to_augmentations(const Napi::Array& array);
RateSearch to_rate_search(const Napi::Object& object);
PicturePlan to_picture_plan(const Napi::Object& object);
std::vector<TensorEntry> to_tensor_entries(const Napi::Array& array);
std::vector<FilePiece> to_file_pieces(const Napi::Array& array);
std::vector<std::int64_t> to_integers(const Napi::Array& array);
std::vector<std::string> to_strings(const Napi::Array& array);

/// A seed, from a number; nothing from undefined.
std::optional<std::uint64_t> to_seed(const Napi::Value& value);

Napi::Object to_js(Napi::Env env, const HostTensor& tensor);
Napi::Array to_js(Napi::Env env, const std::vector<NamedTensor>& tensors);
Napi::Object to_js(Napi::Env env, const Metrics& metrics);
Napi::Array to_js(Napi::Env env, const std::vector<std::int64_t>& values);
Napi::Array to_js(Napi::Env env, const std::vector<double>& values);

}  // namespace densenet::binding
