#pragma once

#include <cstdio>
#include <string>

/// Whether every check of this program has held so far.
inline bool all_held = true;

/// Prints a check as one line of JSON, for test/native/program.ts to read.
inline void report(const std::string& check, bool held, double value) {
  all_held = all_held && held;
  std::printf(R"({"check": "%s", "held": %s, "value": %.3g})"
              "\n",
              check.c_str(), held ? "true" : "false", value);
  std::fflush(stdout);
}

inline void report(const std::string& check, bool held) { report(check, held, 0.0); }
