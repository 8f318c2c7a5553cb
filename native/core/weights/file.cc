#include "core/weights/file.h"

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "platform/file.h"

namespace densenet {

namespace {

[[noreturn]] void fail(const char* action, const std::string& path, int error) {
  throw Error(code::kFile,
              std::string("cannot ") + action + " " + path + ": " + std::generic_category().message(error) + ".");
}

/// A name that no other writer, in this process or another, has at this time.
std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return path + kTemporaryMark + std::to_string(platform::process_id()) + "-" + std::to_string(counter++);
}

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)), descriptor_(platform::open_to_read(path_)) {
  if (descriptor_ < 0) fail("open", path_, errno);
  const std::int64_t size = platform::size_of(descriptor_);
  if (size < 0) {
    platform::close(descriptor_);
    throw Error(code::kFile, path_ + " is not a regular file.");
  }
  size_ = static_cast<std::uint64_t>(size);
}

InputFile::~InputFile() { platform::close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> target) const {
  while (!target.empty()) {
    const std::int64_t count = platform::read_at(descriptor_, target.data(), target.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path_, errno);
    if (count == 0) throw Error(code::kFileFormat, path_ + " ends before its tensors do; it was cut short.");
    target = target.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(temporary_name(path_)), descriptor_(platform::create(temporary_)) {
  if (descriptor_ < 0) fail("write", path_, errno);
}

AtomicFile::~AtomicFile() {
  close_descriptor();
  std::error_code ignored;
  if (!committed_) std::filesystem::remove(platform::path_of(temporary_), ignored);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::int64_t count = platform::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write", path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::commit(const std::function<void(const std::string& temporary)>& verify) {
  if (platform::synchronize(descriptor_) != 0) fail("write", path_, errno);
  if (verify) verify(temporary_);
  close_descriptor();  // Windows renames no open file
  const std::filesystem::path target = platform::path_of(path_);
  std::error_code error;
  std::filesystem::rename(platform::path_of(temporary_), target, error);
  if (error) throw Error(code::kFile, "cannot replace " + path_ + ": " + error.message() + ".");
  committed_ = true;
  if (platform::synchronize_folder(std::filesystem::absolute(target).parent_path()) != 0) {
    fail("synchronize the folder of", path_, errno);
  }
}

void AtomicFile::close_descriptor() noexcept {
  if (descriptor_ >= 0) platform::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace densenet
