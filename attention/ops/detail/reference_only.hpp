#pragma once

#include <array>
#include <span>
#include <string_view>

#include <attention/ops/detail/workspace.hpp>

namespace attention::detail {

/// Private to ops. The path of an operation that has one: the reference. Throws Error when another
/// one is asked for.
inline Path reference_only(std::string_view function, const Execution& execution, DType dtype) {
  struct Entry {
    Path path;
  };
  static constexpr std::array<Entry, 1> kPaths = {{{.path = Path::reference}}};
  return choose_path(function, std::span<const Entry>(kPaths), execution, dtype).path;
}

}  // namespace attention::detail
