#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace densenet {

/// A file open for reading ranges of bytes. Every failure is an ERR_FILE that names the path and the system's reason.
class InputFile {
 public:
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  InputFile(InputFile&&) = delete;
  InputFile& operator=(InputFile&&) = delete;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Fills `target` from `offset`; a file that ends before is an error.
  void read(std::uint64_t offset, std::span<std::byte> target) const;

 private:
  std::string path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// What follows the name of a file that is being written.
inline constexpr const char* kTemporaryMark = ".tmp-";

/// A file that takes its name only when it is whole: it is written beside its place, synchronised, and renamed. Until
/// `commit` returns the old file of that name stays as it was.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();  // removes what was not committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  AtomicFile(AtomicFile&&) = delete;
  AtomicFile& operator=(AtomicFile&&) = delete;

  void write(std::span<const std::byte> bytes);

  /// `verify` sees the file, on the disk, under the name that it has until then; if it throws, the file goes.
  void commit(const std::function<void(const std::string& temporary)>& verify = nullptr);

 private:
  void close_descriptor() noexcept;

  std::string path_;
  std::string temporary_;
  int descriptor_;
  bool committed_ = false;
};

}  // namespace densenet
