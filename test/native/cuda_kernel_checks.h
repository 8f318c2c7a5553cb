#pragma once

#include <string>

/// Takes the result of one check.
using Report = void (*)(const std::string& check, bool held, double value);

/// Every CUDA kernel, run by the emulation, against the same in plain ATen.
void check_kernels(Report report);
