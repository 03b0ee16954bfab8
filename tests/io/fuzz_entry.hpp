#pragma once

#include <cstddef>
#include <span>

namespace attention::io::test {

/// Reads any bytes as an npy file. They are rejected, or what they hold is written and read again
/// and must be the same; throws std::logic_error when it is not.
void try_npy(std::span<const std::byte> bytes);

/// As try_npy, for an npz file.
void try_npz(std::span<const std::byte> bytes);

/// As try_npy, for a safetensors file.
void try_safetensors(std::span<const std::byte> bytes);

}  // namespace attention::io::test
