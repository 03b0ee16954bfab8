#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/parallel.hpp>

namespace attention::io::detail {

/// Bytes that can be read at any place: a file, memory. `read` fills all of `out` from `offset`;
/// the caller stays inside [0, size).
struct ByteSource {
  std::int64_t size;
  FunctionRef<void(std::int64_t offset, std::span<std::byte> out)> read;
};

/// Bytes that are read once, in order: a part of a source, or what inflating it gives. `read` fills
/// all of `out` with the next bytes; the caller reads `size` bytes in all.
struct ByteStream {
  std::int64_t size;
  FunctionRef<void(std::span<std::byte> out)> read;
};

/// Takes the next bytes of an output.
using ByteWriter = FunctionRef<void(std::span<const std::byte> bytes)>;

/// An output whose written bytes can still be changed.
struct ByteSink {
  ByteWriter write;
  FunctionRef<void(std::int64_t offset, std::span<const std::byte> bytes)> overwrite;
};

/// What a FileError is about: "<path>: <subject> <reason>".
struct Origin {
  std::string path;
  std::string subject;  // "the file", "npz member 'q.npy'"

  [[noreturn]] void fail(std::string_view reason) const;
  /// Throws FileError unless `holds`; `reason` is a callable that gives the text, called only then.
  template <class Reason>
  void check(bool holds, const Reason& reason) const {
    if (!holds) [[unlikely]] {
      fail(reason());
    }
  }
};

/// The text in single quotes, short and printable whatever it holds, for messages.
std::string in_quotes(std::string_view text);

/// "1 byte", "8 bytes".
std::string bytes_text(std::int64_t bytes);

/// True for well-formed UTF-8.
bool is_utf8(std::string_view text) noexcept;

/// True when [offset, offset + length) lies inside [0, size).
constexpr bool lies_inside(std::uint64_t offset, std::uint64_t length, std::int64_t size) noexcept {
  const auto end = static_cast<std::uint64_t>(size);
  return offset <= end && length <= end - offset;
}

/// A little-endian number at `bytes`, whatever the machine's order.
template <class T>
T load_little_endian(const std::byte* bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) {
    value = (value << 8) | static_cast<std::uint64_t>(bytes[i]);
  }
  return static_cast<T>(value);
}

/// Appends a number in little-endian order.
template <class T>
void append_little_endian(std::vector<std::byte>& bytes, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes.push_back(static_cast<std::byte>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xFFU));
  }
}

/// Appends text as it is.
void append_text(std::vector<std::byte>& bytes, std::string_view text);

}  // namespace attention::io::detail
