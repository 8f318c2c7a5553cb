/// The `.node` file itself. It links nothing of libtorch: it opens libtorch by absolute path and then the core library,
/// so that no LD_LIBRARY_PATH is needed and a libtorch that is missing or broken becomes an ordinary error.

#include <napi.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "platform/file.h"
#include "platform/shared_library.h"

namespace {

namespace platform = densenet::platform;

using CoreInit = napi_value (*)(napi_env, napi_value);

/// The library that a process has at one place only: the system's loader knows what libtorch is made of by its file
/// names, so a second libtorch would get the first one's parts.
#ifdef _WIN32
constexpr const char* kSingleLibrary = "torch_cpu.dll";
#elif defined(__APPLE__)
constexpr const char* kSingleLibrary = "libtorch_cpu.dylib";
#else
constexpr const char* kSingleLibrary = "libtorch_cpu.so";
#endif

/// Opens the libraries on a thread of the pool, since libtorch takes most of a second, then fills the exports.
class OpenWork final : public Napi::AsyncWorker {
 public:
  OpenWork(Napi::Env env, std::vector<std::string> libraries)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), libraries_(std::move(libraries)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    if (refuses_other_libtorch()) return;
    platform::Opened opened;
    for (const std::string& library : libraries_) {
      opened = platform::open_library(library);
      if (opened.library == nullptr) {
        SetError(opened.reason);
        return;
      }
      if (refuses_other_libtorch()) return;  // another thread may have been faster
    }
    init_ = reinterpret_cast<CoreInit>(platform::find_symbol(opened.library, "densenet_core_init"));
    if (init_ == nullptr) SetError(libraries_.back() + " is not a core library of libtorch-densenet");
  }

  void OnOK() override {
    const Napi::Object exports = Napi::Object::New(Env());
    init_(Env(), exports);
    if (Env().IsExceptionPending()) {
      deferred_.Reject(Env().GetAndClearPendingException().Value());
    } else {
      deferred_.Resolve(exports);
    }
  }

  void OnError(const Napi::Error& error) override {
    if (!other_libtorch_.empty()) error.Value().As<Napi::Object>().Set("otherLibtorch", other_libtorch_);
    deferred_.Reject(error.Value());
  }

 private:
  /// Whether the process has a libtorch other than the one that is to be opened, with the error set if so.
  bool refuses_other_libtorch() {
    const std::string loaded = platform::loaded_library(kSingleLibrary);
    if (loaded.empty()) return false;
    const auto wanted = platform::path_of(libraries_.front()).replace_filename(kSingleLibrary);
    std::error_code error;
    if (!std::filesystem::exists(wanted, error)) return false;  // a layout of its own; the version is compared later
    if (std::filesystem::equivalent(platform::path_of(loaded), wanted, error)) return false;
    other_libtorch_ = loaded;
    SetError("the process has loaded " + loaded);
    return true;
  }

  Napi::Promise::Deferred deferred_;
  std::vector<std::string> libraries_;
  CoreInit init_ = nullptr;
  std::string other_libtorch_;  // what stands in the way, where something does
};

/// open(libraries: string[]): Promise<core>. The first library is libtorch's, the last is the core. Where the process
/// has another libtorch, the error's `otherLibtorch` is its path.
Napi::Value open(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<std::string> libraries;
  libraries.reserve(list.Length());
  for (std::uint32_t index = 0; index < list.Length(); ++index) {
    libraries.push_back(list.Get(index).As<Napi::String>().Utf8Value());
  }
  auto* work = new OpenWork(info.Env(), std::move(libraries));  // NOLINT: an AsyncWorker deletes itself
  const Napi::Promise promise = work->promise();
  work->Queue();
  return promise;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(libtorch_densenet, initialize)
