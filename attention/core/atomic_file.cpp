#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>

namespace attention {
namespace {

/// Linux writes at most 2 GiB at once.
constexpr std::size_t kMaxPiece = std::size_t{1} << 30;

std::string reason_of(int error_number) {
  return std::error_code(error_number, std::generic_category()).message();
}

/// The file that a path leads to, through symbolic links.
std::filesystem::path followed(const std::filesystem::path& path, const std::string& name) {
  std::error_code error;
  if (!std::filesystem::is_symlink(std::filesystem::symlink_status(path, error))) {
    return path;
  }
  std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) {
    throw FileError(name, "cannot follow the symbolic link: " + error.message());
  }
  return real;
}

/// A name that no other writer of this process has; O_EXCL settles the rest. It does not hold the
/// target's name, which may be as long as a name can be.
std::filesystem::path temporary_beside(const std::filesystem::path& target) {
  static std::atomic<std::uint64_t> counter{0};
  const std::string number = std::to_string(counter++);
  return target.parent_path() / std::string(".attention-")
                                    .append(std::to_string(::getpid()))
                                    .append("-" + number + ".tmp");
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& target)
    : name_(target.string()), target_(followed(target, name_)) {
  struct stat old = {};
  const bool replaces = ::stat(target_.c_str(), &old) == 0;
  if (replaces && !S_ISREG(old.st_mode)) {
    throw FileError(name_, "is not a regular file; nothing else is ever replaced");
  }
  do {
    temporary_ = temporary_beside(target_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && (errno == EEXIST || errno == EINTR));
  if (descriptor_ < 0) {
    const int error_number = errno;
    temporary_.clear();  // not ours to remove
    fail("create a temporary file beside it", error_number);
  }
  if (replaces && ::fchmod(descriptor_, old.st_mode & 0777U) != 0) {
    fail("give the temporary file its permissions", errno);
  }
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  check_open("AtomicFile::write");
  write_at(size_, bytes);
  size_ += static_cast<std::int64_t>(bytes.size());
}

void AtomicFile::overwrite(std::int64_t offset, std::span<const std::byte> bytes) {
  check_open("AtomicFile::overwrite");
  const auto length = static_cast<std::int64_t>(bytes.size());
  require(offset >= 0 && length <= size_ && offset <= size_ - length, "AtomicFile::overwrite",
          "the bytes must be written already", [&] {
            return std::to_string(length) + " bytes from " + std::to_string(offset) + " of " +
                   std::to_string(size_);
          });
  write_at(offset, bytes);
}

void AtomicFile::commit() {
  check_open("AtomicFile::commit");
  // Some file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    fail("close the temporary file", errno);
  }
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    fail("rename the temporary file over it", errno);
  }
  temporary_.clear();
}

void AtomicFile::discard() noexcept {
  if (descriptor_ >= 0) {
    ::close(std::exchange(descriptor_, -1));
  }
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
    temporary_.clear();
  }
}

void AtomicFile::fail(std::string_view step, int error_number) {
  discard();
  throw FileError(name_, std::string("cannot ").append(step) + ": " + reason_of(error_number));
}

void AtomicFile::check_open(std::string_view function) const {
  require(descriptor_ >= 0, function, "the file must not be committed yet, nor have failed",
          [&] { return name_; });
}

void AtomicFile::write_at(std::int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), kMaxPiece), offset);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      fail("write the temporary file", written < 0 ? errno : ENOSPC);
    }
    offset += written;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace attention
