#pragma once

#include <cstdint>

#include <string>
#include <vector>

namespace densenet {

/// What the process runs on.
struct RuntimeFacts {
  std::string libtorch_version;  ///< of the library that is loaded, not of the headers
  int threads = 0;               ///< that one operation uses on the CPU
  std::string cpu_capability;    ///< the instruction set that ATen chose, such as AVX2
  std::vector<std::string> cuda_devices;
  std::string cuda_reason;  ///< why there is no CUDA device; empty where there is one
  std::string cuda_engine;  ///< why blocks run module by module there; empty where they run as one operator
};

RuntimeFacts runtime_facts();

/// The version of the loaded libtorch, such as 2.13.0; empty when it does not say.
std::string loaded_libtorch_version();

/// Seeds libtorch's default generators, of every device.
void seed_everything(std::uint64_t seed);

}  // namespace densenet
