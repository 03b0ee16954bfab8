#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace attention::io::detail {

/// A regular file, open for reading at any place. Throws FileError with the step that failed and
/// the system's reason.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  InputFile(InputFile&&) = delete;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  std::int64_t size() const noexcept { return size_; }
  /// Fills all of `out` from `offset`.
  void read(std::int64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace attention::io::detail
