#include "core/weights/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace densenet {

namespace {

[[noreturn]] void fail(const char* action, const std::string& path, int error) {
  throw Error(code::kFile,
              std::string("cannot ") + action + " " + path + ": " + std::generic_category().message(error) + ".");
}

/// A name that no other writer, in this process or another, has at this time.
std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return path + kTemporaryMark + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

/// Makes a rename in the folder outlast a power cut.
void synchronize_folder(const std::string& path) {
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;  // some file systems do not open folders; the file itself is safe already
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

InputFile::InputFile(std::string path)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) fail("open", path_, errno);
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(code::kFile, path_ + " is not a regular file.");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> target) const {
  while (!target.empty()) {
    const ssize_t count = ::pread(descriptor_, target.data(), target.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path_, errno);
    if (count == 0) throw Error(code::kFileFormat, path_ + " ends before its tensors do; it was cut short.");
    target = target.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)),
      temporary_(temporary_name(path_)),
      descriptor_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail("write", path_, errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close_descriptor();
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write", path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::commit(const std::function<void(const std::string& temporary)>& verify) {
  if (::fsync(descriptor_) != 0) fail("write", path_, errno);
  if (verify) verify(temporary_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replace", path_, errno);
  close_descriptor();
  synchronize_folder(path_);
}

void AtomicFile::close_descriptor() noexcept {
  ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace densenet
