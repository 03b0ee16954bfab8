#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include <attention/core/dtype.hpp>
#include <attention/core/isa.hpp>

namespace attention::bench {

/// Which cells of the scores a problem sees.
enum class Rule {
  all,
  causal,
  /// Keys at most kWindow away, on both sides.
  window,
  /// Key lengths of half of the keys.
  half_of_keys,
  /// A boolean mask: a query sees the keys of its own document of kDocument tokens.
  documents,
  /// A boolean mask that blocks half of the cells at random, timed against all of them.
  random_mask,
};
inline constexpr std::int64_t kWindow = 256;
inline constexpr std::int64_t kDocument = 512;

/// One problem of sdpa. As many keys as queries, and values as wide as keys, unless S and Dv say
/// otherwise.
struct SdpaShape {
  std::int64_t H = 8;
  std::int64_t Hkv = 8;
  std::int64_t L = 0;
  std::int64_t S = 0;
  std::int64_t D = 64;
  std::int64_t Dv = 0;
  DType dtype = DType::float32;
  Rule rule = Rule::all;
  int threads = 1;
  std::optional<Isa> isa = {};

  std::int64_t keys() const { return S > 0 ? S : L; }
  std::int64_t value_size() const { return Dv > 0 ? Dv : D; }
};

/// Cells that some query sees, in all heads; with a random mask: all, since it is the time of a
/// call that is compared.
double visible_cells(const SdpaShape& shape);

/// 2 x visible cells x (D + Dv).
double operations_of(const SdpaShape& shape);

/// Bytes that sdpa_into needs beside its inputs and outputs.
std::size_t workspace_of(const SdpaShape& shape);

/// A call of sdpa_into with its tensors, which live as long as the call.
struct SdpaCall {
  std::function<void()> call;
  std::span<const std::byte> keys_and_values;
};

/// Standard normal inputs, the same in every run.
SdpaCall sdpa_call(const SdpaShape& shape);

}  // namespace attention::bench
