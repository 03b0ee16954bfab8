#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/parallel.hpp>
#include <attention/core/tensor_view.hpp>

/// Private to ops: scratch memory and the choice of a path, which every operation does in the same
/// way.
namespace attention::detail {

/// Scratch begins on a cache line, so that no two threads share one.
inline constexpr std::size_t kScratchAlignment = 64;

constexpr std::size_t padded_scratch(std::size_t bytes) noexcept {
  return (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
}

/// The bytes of a workspace that holds `scratch` bytes for each thread of a call, wherever it
/// begins.
inline std::size_t workspace_size(std::size_t scratch, const Execution& execution) {
  const auto threads = static_cast<std::size_t>(resolve_threads(execution.threads));
  return scratch == 0 ? 0 : padded_scratch(scratch) * threads + kScratchAlignment - 1;
}

inline void require_workspace(std::string_view function, std::span<const std::byte> workspace,
                              std::size_t needed) {
  require(workspace.size() >= needed, function,
          "workspace must be as large as the workspace_size function says", [&] {
            return std::to_string(workspace.size()) + " bytes where " + std::to_string(needed) +
                   " are needed";
          });
}

/// Cuts a workspace into one piece per worker.
class WorkerScratch {
 public:
  WorkerScratch(std::span<std::byte> workspace, std::size_t scratch) noexcept
      : stride_(padded_scratch(scratch)) {
    void* begin = workspace.data();
    std::size_t space = workspace.size();
    if (scratch != 0) {
      begin_ = static_cast<std::byte*>(std::align(kScratchAlignment, scratch, begin, space));
    }
  }
  std::byte* of(int worker) const noexcept {
    return begin_ + stride_ * static_cast<std::size_t>(worker);
  }

 private:
  std::byte* begin_ = nullptr;
  std::size_t stride_;
};

/// A workspace for the forms that return owning tensors.
class OwnedWorkspace {
 public:
  explicit OwnedWorkspace(std::size_t size)
      : size_(size), bytes_(std::make_unique_for_overwrite<std::byte[]>(size)) {}
  std::span<std::byte> bytes() noexcept { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
};

/// The first entry of the list for `automatic`, else the one asked for. Throws Error when the list
/// lacks it.
template <class Entry>
const Entry& choose_path(std::string_view function, std::span<const Entry> paths,
                         const Execution& execution, DType dtype) {
  for (const Entry& entry : paths) {
    if (execution.path == Path::automatic || execution.path == entry.path) {
      return entry;
    }
  }
  std::string names;
  for (const Entry& entry : paths) {
    names += (names.empty() ? "" : ", ") + std::string(name_of(entry.path));
  }
  throw Error(function,
              "the path must serve the element type; for " + std::string(name_of(dtype)) +
                  " there are: " + names,
              std::string(name_of(execution.path)));
}

}  // namespace attention::detail
