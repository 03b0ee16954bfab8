#pragma once

#include <cstdint>
#include <string_view>

#include <attention/core/export.hpp>

namespace attention {

/// The ways to compute an operation, in the order in which `automatic` tries them.
enum class Path : std::uint8_t {
  automatic,
  /// Blocks of float32 arithmetic, O(block) scratch per thread; float and 16-bit elements.
  blocked,
  /// The definition: plain loops in double, rounded once at the end; every element type.
  reference,
};

/// "automatic", "blocked", "reference".
ATTENTION_API std::string_view name_of(Path path) noexcept;

/// How an operation runs; what it computes does not depend on it beyond rounding.
struct Execution {
  /// A path that cannot serve the problem is an error, never a silent fallback. `automatic` is
  /// always served.
  Path path = Path::automatic;
  /// 0: the process default. The bits of the result do not depend on it.
  int threads = 0;
};

}  // namespace attention
