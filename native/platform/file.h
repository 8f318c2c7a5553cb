#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

/// Files by descriptor, in binary and closed in child processes. Where a call returns -1, `errno` has the reason.
namespace densenet::platform {

/// A path of UTF-8, as every path from JavaScript is.
std::filesystem::path path_of(const std::string& path);

/// For reading. Never waits, not even for a pipe's writer.
int open_to_read(const std::string& path);

/// For writing; a file that must not be there yet.
int create(const std::string& path);

/// For reading and writing; made where it is not there.
int open_or_create(const std::string& path);

void close(int descriptor);

/// The size of a regular file; -1 for what is none.
std::int64_t size_of(int descriptor);

/// As many bytes as came, from `offset`; 0 at the end.
std::int64_t read_at(int descriptor, std::byte* target, std::size_t size, std::uint64_t offset);

/// As many bytes as went.
std::int64_t write(int descriptor, const std::byte* bytes, std::size_t size);

/// Until the bytes are on the disk; -1 where that fails.
int synchronize(int descriptor);

/// Makes a rename in a folder outlast a power cut, where the file system can; -1 where that fails.
int synchronize_folder(const std::filesystem::path& folder);

/// Whether the file is this descriptor's alone from now on; the system lets go of it when the process ends, however it
/// ends. False with `errno` EWOULDBLOCK where another has it.
bool lock(int descriptor);

int process_id();

}  // namespace densenet::platform
