#include "platform/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#ifdef _WIN32
#include <io.h>
#include <process.h>

#include <algorithm>

#include "platform/windows.h"
#else
#include <sys/file.h>
#include <unistd.h>
#endif

namespace densenet::platform {

#ifdef _WIN32

namespace {

constexpr int kBinary = _O_BINARY | _O_NOINHERIT;

HANDLE handle_of(int descriptor) { return reinterpret_cast<HANDLE>(_get_osfhandle(descriptor)); }

/// The most that one call takes.
DWORD at_most(std::size_t size) { return static_cast<DWORD>(std::min<std::size_t>(size, 1U << 30U)); }

}  // namespace

std::filesystem::path path_of(const std::string& path) { return to_wide(path); }

int open_to_read(const std::string& path) { return _wopen(to_wide(path).c_str(), _O_RDONLY | kBinary); }

int create(const std::string& path) {
  return _wopen(to_wide(path).c_str(), _O_WRONLY | _O_CREAT | _O_EXCL | kBinary, _S_IREAD | _S_IWRITE);
}

int open_or_create(const std::string& path) {
  return _wopen(to_wide(path).c_str(), _O_RDWR | _O_CREAT | kBinary, _S_IREAD | _S_IWRITE);
}

void close(int descriptor) { _close(descriptor); }

std::int64_t size_of(int descriptor) {
  struct _stat64 status{};
  return _fstat64(descriptor, &status) == 0 && (status.st_mode & _S_IFMT) == _S_IFREG ? status.st_size : -1;
}

std::int64_t read_at(int descriptor, std::byte* target, std::size_t size, std::uint64_t offset) {
  OVERLAPPED place{};
  place.Offset = static_cast<DWORD>(offset);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32U);
  DWORD count = 0;
  if (ReadFile(handle_of(descriptor), target, at_most(size), &count, &place) != 0) return count;
  if (GetLastError() == ERROR_HANDLE_EOF) return 0;
  errno = EIO;
  return -1;
}

std::int64_t write(int descriptor, const std::byte* bytes, std::size_t size) {
  return _write(descriptor, bytes, at_most(size));
}

int synchronize(int descriptor) { return _commit(descriptor); }

int synchronize_folder(const std::filesystem::path& /*folder*/) { return 0; }  // NTFS keeps a journal of names itself

bool lock(int descriptor) {
  OVERLAPPED place{};
  constexpr DWORD kNow = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
  if (LockFileEx(handle_of(descriptor), kNow, 0, 1, 0, &place) != 0) return true;
  errno = GetLastError() == ERROR_LOCK_VIOLATION ? EWOULDBLOCK : EIO;
  return false;
}

int process_id() { return _getpid(); }

#else

std::filesystem::path path_of(const std::string& path) { return path; }

int open_to_read(const std::string& path) { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }

int create(const std::string& path) { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }

int open_or_create(const std::string& path) { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666); }

void close(int descriptor) { ::close(descriptor); }

std::int64_t size_of(int descriptor) {
  struct stat status{};
  return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : -1;
}

std::int64_t read_at(int descriptor, std::byte* target, std::size_t size, std::uint64_t offset) {
  return ::pread(descriptor, target, size, static_cast<off_t>(offset));
}

std::int64_t write(int descriptor, const std::byte* bytes, std::size_t size) {
  return ::write(descriptor, bytes, size);
}

int synchronize(int descriptor) { return ::fsync(descriptor); }

int synchronize_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno == EACCES || errno == EPERM ? 0 : -1;  // may be written to and not read
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (error == 0 || error == EINVAL || error == ENOTSUP) return 0;  // some file systems synchronize no folders
  errno = error;
  return -1;
}

bool lock(int descriptor) { return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0; }

int process_id() { return ::getpid(); }

#endif

}  // namespace densenet::platform
