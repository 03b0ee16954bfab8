#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/dtype.hpp>
#include <attention/core/export.hpp>
#include <attention/core/layout.hpp>
#include <attention/core/tensor.hpp>
#include <attention/io/named_array.hpp>
#include <attention/io/npy.hpp>

namespace attention::io {

/// A key of a safetensors file's metadata, and its value.
struct MetadataEntry {
  std::string key;
  std::string value;
};

/// What a safetensors file holds, in the order of its header.
struct Safetensors {
  std::vector<NamedArray> arrays;
  std::vector<MetadataEntry> metadata;
};

/// An array of a safetensors file: all but its elements, which lie dense in row-major order and in
/// little-endian byte order.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::float32;
  Shape shape;
  std::int64_t offset = 0;  // of the first element, in bytes from the start of the file
  std::int64_t bytes = 0;   // of all elements
};

/// The header of a safetensors file, in its own order.
struct SafetensorsIndex {
  std::vector<SafetensorsEntry> arrays;
  std::vector<MetadataEntry> metadata;
};

/// Reads a safetensors file, each array straight into its tensor: nothing is held twice.
///
/// Element types: F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8 and BOOL; a byte of a
/// BOOL other than 0 counts as 1. Shapes: up to 6 dimensions, () and extents of 0 included. Names
/// and metadata are any UTF-8.
///
/// Throws FileError with the path and the reason, about the tensor where there is one: the file
/// cannot be read; its header is no JSON object that begins at its first byte, has more than 100
/// MB, keys twice or keys that the format does not have; offsets that do not agree with type and
/// shape, lie outside of the file, overlap, or leave bytes that belong to no tensor; or the file
/// exceeds the limit, or holds what attention does not read: other element types (8 bits and fewer
/// for a floating number, complex ones), or more dimensions.
///
/// Cost: besides the arrays, a few times the size of the header.
///
/// Source: the format's description in README.md of github.com/huggingface/safetensors, and, for
/// keys, docs/safetensors.schema.json there.
/// See also: SafetensorsFile, read_safetensors_index, read_npz.
ATTENTION_API Safetensors read_safetensors(const std::filesystem::path& path,
                                           const ReadOptions& options = {});

/// As read_safetensors, from memory; `name` stands for the path in messages.
ATTENTION_API Safetensors parse_safetensors(std::span<const std::byte> bytes, std::string_view name,
                                            const ReadOptions& options = {});

/// Reads and checks the header alone, as read_safetensors does: no element is read, and no limit
/// applies.
ATTENTION_API SafetensorsIndex read_safetensors_index(const std::filesystem::path& path);

/// A safetensors file that stays open, to read its arrays one at a time.
///
/// It goes on reading the same file when another takes its name, as write_safetensors does. Reading
/// from several threads at once is fine.
class ATTENTION_API SafetensorsFile {
 public:
  /// Opens the file, and reads and checks its header. Throws FileError as read_safetensors does.
  explicit SafetensorsFile(const std::filesystem::path& path);
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  ~SafetensorsFile();

  const SafetensorsIndex& index() const noexcept;
  /// The entry of this name; null when there is none. Cost: logarithmic in the number of arrays.
  const SafetensorsEntry* find(std::string_view name) const noexcept;
  /// Reads the array of this name; the limit is for this one. Throws FileError, also when there is
  /// none.
  AnyTensor read(std::string_view name, const ReadOptions& options = {}) const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

/// Writes arrays of any strides, and metadata, as a safetensors file: byte for byte what the
/// official library writes for them.
///
/// The arrays come in that library's order, which keeps each aligned to its element type: by
/// element type, from U64, I64, F64, F32, U32, I32, BF16, F16, U16, I16, I8, U8 to BOOL, and then
/// by the bytes of their names. The metadata comes in the given order (the official library's is
/// random); without an entry, the file has none. The file appears whole or not at all, as by
/// AtomicFile.
///
/// Throws Error, before anything is written, for a null view; for names, keys and values that are
/// not UTF-8; for names or keys that come twice; for the name "__metadata__", which the format
/// keeps for the metadata; and for a header of more than 100 MB. Throws FileError with the step
/// that failed and the system's reason.
ATTENTION_API void write_safetensors(const std::filesystem::path& path,
                                     std::span<const NamedView> arrays,
                                     std::span<const MetadataEntry> metadata = {});

/// The bytes that write_safetensors writes.
ATTENTION_API std::vector<std::byte> serialise_safetensors(
    std::span<const NamedView> arrays, std::span<const MetadataEntry> metadata = {});

}  // namespace attention::io
