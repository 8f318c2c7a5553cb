#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace densenet {

/// The last tensor of a file with a checksum: the SHA-256 of every byte before it.
inline constexpr const char* kDigestName = "trainer.sha256";

/// Writes tensors to a safetensors file, model's names first and the digest of all that at the end, for what is written
/// in the middle of a training run, when TypeScript cannot be asked to lay a file out. The file is read again and its
/// digest compared before it takes its name; so it appears whole and verified, or not at all.
/// @param metadata A JSON object, the file's `__metadata__`.
void write_verified(const std::string& path, const std::string& metadata,
                    const std::map<std::string, at::Tensor>& tensors);

/// Whether a file ends in the SHA-256 of all before it.
bool is_verified(const std::string& path);

}  // namespace densenet
