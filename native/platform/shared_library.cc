#include "platform/shared_library.h"

#ifdef _WIN32
#include "platform/windows.h"
#else
#include <dlfcn.h>

#include <string_view>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#else
#include <link.h>
#endif
#endif

namespace densenet::platform {

#ifdef _WIN32

namespace {

std::string path_of(HMODULE library) {
  std::wstring path(32'768, L'\0');  // the longest that Windows has
  path.resize(GetModuleFileNameW(library, path.data(), static_cast<DWORD>(path.size())));
  return to_utf8(path);
}

}  // namespace

Opened open_library(const std::string& path) {
  // By the library's own folder, where what it needs lies too.
  const HMODULE library = LoadLibraryExW(to_wide(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (library == nullptr) return {.library = nullptr, .reason = path + ": " + last_error()};
  HMODULE pinned = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCWSTR>(library), &pinned);
  return {.library = library, .reason = {}};
}

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

std::string loaded_library(const std::string& name) {
  const HMODULE library = GetModuleHandleW(to_wide(name).c_str());
  return library == nullptr ? std::string() : path_of(library);
}

std::string library_of(const void* address) {
  HMODULE library = nullptr;
  constexpr DWORD kLook = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (GetModuleHandleExW(kLook, static_cast<LPCWSTR>(address), &library) == 0) return {};
  return path_of(library);
}

#else

namespace {

bool has_name(std::string_view path, const std::string& name) {
  return path.substr(path.find_last_of('/') + 1) == name;
}

}  // namespace

Opened open_library(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library != nullptr) return {.library = library, .reason = {}};
  // glibc and musl keep the reason per thread, so no other thread can change it.
  const char* reason = dlerror();  // NOLINT(concurrency-mt-unsafe)
  return {.library = nullptr, .reason = reason == nullptr ? "the system's loader gave no reason for " + path : reason};
}

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

#ifdef __APPLE__

std::string loaded_library(const std::string& name) {
  for (std::uint32_t index = 0; index < _dyld_image_count(); ++index) {
    const char* path = _dyld_get_image_name(index);
    if (path != nullptr && has_name(path, name)) return path;
  }
  return {};
}

#else

std::string loaded_library(const std::string& name) {
  struct Search {
    const std::string& name;
    std::string found;
  } search{.name = name, .found = {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t /*size*/, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        if (!has_name(info->dlpi_name, wanted.name)) return 0;
        wanted.found = info->dlpi_name;
        return 1;
      },
      &search);
  return search.found;
}

#endif

std::string library_of(const void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return {};
  return info.dli_fname;
}

#endif

}  // namespace densenet::platform
