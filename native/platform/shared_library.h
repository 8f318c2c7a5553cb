#pragma once

#include <string>

/// What differs between systems, for the loader and the core alike. Knows neither N-API nor libtorch.
namespace densenet::platform {

/// A library that was opened, or why it was not.
struct Opened {
  void* library = nullptr;
  std::string reason;
};

/// Opens a library by its absolute path and for good, since its threads outlive any unload. Its symbols stay its own
/// where the system can tell: other addons of the process do not see them.
Opened open_library(const std::string& path);

/// A symbol's address; null where the library has none of that name.
void* find_symbol(void* library, const char* name);

/// Where the library with this file name was loaded from; empty while none is.
std::string loaded_library(const std::string& name);

/// The library that an address belongs to; empty where the system cannot tell.
std::string library_of(const void* address);

}  // namespace densenet::platform
