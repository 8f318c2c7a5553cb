/// The `.node` file itself. It links nothing of libtorch: it opens libtorch by absolute path and then the core library,
/// so that no LD_LIBRARY_PATH is needed and a libtorch that is missing or broken becomes an ordinary error.

#include <dlfcn.h>
#include <napi.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using CoreInit = napi_value (*)(napi_env, napi_value);

/// Opens the libraries on a thread of the pool, since libtorch takes most of a second, then fills the exports.
class OpenWork final : public Napi::AsyncWorker {
 public:
  OpenWork(Napi::Env env, std::vector<std::string> libraries)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), libraries_(std::move(libraries)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    void* handle = nullptr;
    for (const std::string& library : libraries_) {
      // RTLD_LOCAL keeps libtorch's symbols from other addons; RTLD_NODELETE since its threads outlive any unload.
      handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
      if (handle == nullptr) {
        // glibc and musl keep the reason per thread, so no other thread can change it.
        const char* reason = dlerror();  // NOLINT(concurrency-mt-unsafe)
        SetError(reason == nullptr ? "the system's loader gave no reason for " + library : reason);
        return;
      }
    }
    init_ = reinterpret_cast<CoreInit>(dlsym(handle, "densenet_core_init"));
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

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::vector<std::string> libraries_;
  CoreInit init_ = nullptr;
};

/// open(libraries: string[]): Promise<core>. The last library is the core.
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
