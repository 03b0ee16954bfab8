#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

/// Files: NumPy's npy and npz, and safetensors.
namespace attention::io {

/// Limits for files from people whom one does not trust.
///
/// Whatever the limit, no more is allocated for elements than the file can really hold: its size,
/// or, for deflated members, 1032 times it.
struct ReadOptions {
  /// The most bytes that the elements of one file's arrays may take together.
  std::int64_t max_bytes = std::int64_t{1} << 36;
};

/// Reads one array from an npy file (NumPy's format 1.0, 2.0 or 3.0), its elements straight into
/// their tensor.
///
/// Element types: float16, float32, float64, bool and the integers of 8 to 64 bits, in either byte
/// order; a byte of a bool other than 0 counts as 1. Shapes: up to 6 dimensions, () and extents of
/// 0 included. A file in Fortran order gives a view with column-major strides: element (i, j) is
/// NumPy's (i, j), and nothing is moved.
///
/// Throws FileError with the path and the reason: the file cannot be read; is no npy file, or a
/// malformed one; is shorter or longer than its header promises (NumPy ignores what follows);
/// exceeds the limit; or holds what attention does not read: Python objects, complex numbers,
/// strings, times, structured types.
///
/// Source: NumPy Enhancement Proposal 1, and numpy.lib.format.
/// See also: read_npz, read_arrays.
ATTENTION_API AnyTensor read_npy(const std::filesystem::path& path,
                                 const ReadOptions& options = {});

/// As read_npy, from memory; `name` stands for the path in messages.
ATTENTION_API AnyTensor parse_npy(std::span<const std::byte> bytes, std::string_view name,
                                  const ReadOptions& options = {});

/// Writes one array of any strides as an npy file, in row-major order: byte for byte what
/// numpy.save writes for the same array. The file appears whole or not at all, as by AtomicFile.
///
/// Throws Error for a null view and for bfloat16, which npy does not have; FileError with the step
/// that failed and the system's reason.
ATTENTION_API void write_npy(const std::filesystem::path& path, const AnyView& array);

/// The bytes that write_npy writes.
ATTENTION_API std::vector<std::byte> serialise_npy(const AnyView& array);

}  // namespace attention::io
