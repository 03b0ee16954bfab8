#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace attention::tests {

/// Address space of which nothing may be touched (the process would end with a signal) but the byte
/// ranges that `open` names, as far as pages allow.
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t bytes)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        bytes_((bytes + page_ - 1) / page_ * page_),
        base_(static_cast<std::byte*>(
            mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  GuardedMemory(GuardedMemory&&) = delete;
  GuardedMemory& operator=(GuardedMemory&&) = delete;
  ~GuardedMemory() { munmap(base_, bytes_); }

  bool is_valid() const noexcept { return base_ != MAP_FAILED; }
  std::size_t page() const noexcept { return page_; }
  std::byte* base() const noexcept { return base_; }

  /// Opens the pages of [first, first + bytes).
  void open(std::size_t first, std::size_t bytes) {
    const std::size_t start = first / page_ * page_;
    if (bytes > 0) {
      mprotect(base_ + start, first + bytes - start, PROT_READ | PROT_WRITE);
    }
  }

 private:
  std::size_t page_;
  std::size_t bytes_;
  std::byte* base_;
};

}  // namespace attention::tests
