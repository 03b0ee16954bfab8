#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <attention/core/export.hpp>

namespace attention {

/// Writes a file that appears whole or not at all: the bytes go to a temporary file beside the
/// target, and commit() renames it over the target.
///
/// Without a commit(), the destructor removes the temporary file, and what was at the target stays
/// as it was. A symbolic link is followed: what it leads to is replaced, with its permissions kept.
/// The bytes are not forced to the disk (no fsync): they survive the end of the program, not a loss
/// of power.
///
/// Nothing is buffered: pass large pieces.
///
/// Each function throws FileError with the target's path, the step that failed and the system's
/// reason; the temporary file is removed by then. After that, and after commit(), every function
/// throws Error.
class ATTENTION_API AtomicFile {
 public:
  /// Creates the temporary file. Throws FileError also when the target exists and is not a regular
  /// file: a folder or a device is never replaced.
  explicit AtomicFile(const std::filesystem::path& target);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  AtomicFile(AtomicFile&&) = delete;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  /// Appends bytes.
  void write(std::span<const std::byte> bytes);
  /// Appends text.
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Replaces bytes that are written already, from `offset`. Throws Error when they are not.
  void overwrite(std::int64_t offset, std::span<const std::byte> bytes);
  /// Puts the file in its place. The last call.
  void commit();

 private:
  void discard() noexcept;
  [[noreturn]] void fail(std::string_view step, int error_number);
  void check_open(std::string_view function) const;
  void write_at(std::int64_t offset, std::span<const std::byte> bytes);

  std::string name_;  // the target as the caller named it, for messages
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty when there is none
  std::int64_t size_ = 0;
  int descriptor_ = -1;
};

/// Writes a whole file by AtomicFile.
ATTENTION_API void write_file_atomically(const std::filesystem::path& path,
                                         std::span<const std::byte> bytes);
ATTENTION_API void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace attention
