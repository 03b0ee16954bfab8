#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attention/core/error.hpp>
#include <attention/io/detail/input_file.hpp>

namespace attention::io::detail {
namespace {

/// Linux reads at most 2 GiB at once.
constexpr std::size_t kMaxPiece = std::size_t{1} << 30;

FileError failure(const std::string& path, const std::string& step, int error_number) {
  return {path, "cannot " + step + " the file: " +
                    std::error_code(error_number, std::generic_category()).message()};
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : path_(path.string()) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait; regular files do not care.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    throw failure(path_, "open", errno);
  }
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) {
    const int error_number = errno;
    ::close(descriptor_);
    throw failure(path_, "ask for the size of", error_number);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw FileError(path_, "is not a regular file");
  }
  size_ = status.st_size;
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(std::int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(descriptor_, out.data(), std::min(out.size(), kMaxPiece), offset);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw failure(path_, "read", errno);
    }
    if (got == 0) {
      throw FileError(path_, "became shorter while it was read");
    }
    offset += got;
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace attention::io::detail
