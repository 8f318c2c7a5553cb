#pragma once

#include <c10/core/Device.h>

#include <string>

#include "kernels.h"

/// Takes the result of one check.
using Report = void (*)(const std::string& check, bool held, double value);

/// Every CUDA kernel against the same in plain ATen: on the CPU the emulation's, on a GPU those of the library.
void check_kernels(Report report, c10::Device place, const DensenetKernels& table);
