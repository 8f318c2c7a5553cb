#include "core/train/checkpoint_folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <regex>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/weights/file.h"
#include "core/weights/safetensors_writer.h"
#include "platform/file.h"

namespace densenet {

namespace {

constexpr const char* kLockName = "lock";

[[noreturn]] void fail(const std::string& action, const std::string& path, int error) {
  throw Error(code::kFile, "cannot " + action + " " + path + ": " + std::generic_category().message(error) + ".");
}

std::string file_name(std::int64_t epoch, std::int64_t step) {
  std::array<char, 64> name{};
  if (step == 0) {
    std::snprintf(name.data(), name.size(), "epoch-%04lld.safetensors", static_cast<long long>(epoch));
  } else {
    std::snprintf(name.data(), name.size(), "epoch-%04lld-step-%07lld.safetensors", static_cast<long long>(epoch),
                  static_cast<long long>(step));
  }
  return name.data();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(platform::path_of(folder), error)) {
    names.push_back(entry.path().filename().string());
  }
  if (error) fail("read", folder, error.value());
  return names;
}

/// A file that cannot be removed stays; nobody reads it.
void remove(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(platform::path_of(path), ignored);
}

int open_lock(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(platform::path_of(folder), error);
  if (error) fail("make the folder", folder, error.value());
  const std::string path = folder + "/" + kLockName;
  const int descriptor = platform::open_or_create(path);
  if (descriptor < 0) fail("write", path, errno);
  if (platform::lock(descriptor)) return descriptor;
  const int reason = errno;
  platform::close(descriptor);
  if (reason != EWOULDBLOCK) fail("lock", path, reason);
  throw Error(code::kLocked, folder +
                                 " is written to by another run at this time. Wait for its end, or give each run "
                                 "a folder of its own.");
}

/// The step of an epoch's end among its steps.
constexpr std::int64_t kEnd = INT64_MAX;

}  // namespace

CheckpointFolder::CheckpointFolder(std::string path) : path_(std::move(path)), lock_(open_lock(path_)) {
  try {
    remove_unfinished();
  } catch (...) {
    platform::close(lock_);
    throw;
  }
}

CheckpointFolder::~CheckpointFolder() { platform::close(lock_); }

void CheckpointFolder::remove_unfinished() const {
  const std::regex pattern(R"((epoch-\d+(-step-\d+)?|best)\.safetensors)" + std::string(kTemporaryMark) + R"([\d-]+)");
  for (const std::string& name : names_in(path_)) {
    if (std::regex_match(name, pattern)) remove(path_ + "/" + name);
  }
}

std::vector<std::pair<CheckpointFolder::Place, std::string>> CheckpointFolder::list() const {
  const std::regex pattern(R"(epoch-(\d{1,15})(-step-(\d{1,15}))?\.safetensors)");
  std::vector<std::pair<Place, std::string>> found;
  for (const std::string& name : names_in(path_)) {
    std::smatch match;
    if (!std::regex_match(name, match, pattern)) continue;
    const Place place{.epoch = std::stoll(match[1]), .step = match[3].matched ? std::stoll(match[3]) : kEnd};
    found.emplace_back(place, name);
  }
  std::ranges::sort(found);
  return found;
}

std::string CheckpointFolder::newest() const {
  const auto found = list();
  return found.empty() ? std::string() : found.back().second;
}

std::string CheckpointFolder::save(const TrainingState& state, const std::string& metadata, std::int64_t epoch,
                                   std::int64_t step, std::int64_t keep_last) {
  std::string path = path_ + "/" + file_name(epoch, step);
  write_verified(path, metadata, state);
  prune({.epoch = epoch, .step = step == 0 ? kEnd : step}, keep_last);
  return path;
}

void CheckpointFolder::save_best(const TrainingState& state, const std::string& metadata) const {
  write_verified(path_ + "/best.safetensors", metadata, state);
}

void CheckpointFolder::prune(const Place& newest, std::int64_t keep_last) const {
  const auto found = list();
  auto surplus = std::ranges::count_if(found, [&](const auto& one) { return one.first <= newest; }) - keep_last;
  for (const auto& [place, name] : found) {
    if (surplus-- > 0 || place > newest) remove(path_ + "/" + name);
  }
}

}  // namespace densenet
