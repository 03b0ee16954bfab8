#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <attention/core/export.hpp>
#include <attention/core/isa.hpp>

namespace attention {

/// The ways to compute an operation, in the order in which `automatic` tries them.
enum class Path : std::uint8_t {
  automatic,
  /// Fused kernels in float32 arithmetic, compiled for each instruction set, O(block) scratch per
  /// thread; float and 16-bit elements.
  fused,
  /// The definition: plain loops in double, rounded once at the end; every element type.
  reference,
};

/// "automatic", "fused", "reference".
ATTENTION_API std::string_view name_of(Path path) noexcept;

/// How an operation runs; what it computes does not depend on it beyond rounding.
struct Execution {
  /// A path that cannot serve the problem is an error, never a silent fallback. `automatic` is
  /// always served.
  Path path = Path::automatic;
  /// The instruction set of the fused path. Not given: what the environment variable ATTENTION_ISA
  /// named when first asked for, else the best that this processor has. One that it lacks, or that
  /// was not compiled, is an error.
  std::optional<Isa> isa = {};
  /// 0: the process default. The bits of the result do not depend on it.
  int threads = 0;
};

/// How an operation has run.
struct Taken {
  Path path = Path::automatic;
  /// Of the fused path; none on the reference path.
  std::optional<Isa> isa = {};

  friend bool operator==(const Taken&, const Taken&) = default;
};

}  // namespace attention
