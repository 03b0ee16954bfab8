#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <attention/core/dtype.hpp>
#include <attention/core/sdpa_problem.hpp>
#include <attention/ops/sdpa.hpp>

#include "draws.hpp"
#include "strided_buffer.hpp"

namespace attention::tests {

enum class Positions : std::uint8_t { unnamed, top_left, bottom_right, at };

/// What q, k, v and an additive mask hold.
enum class Content : std::uint8_t {
  /// Normal draws.
  ordinary,
  /// The same, the queries thirty times as large: nearly one-hot rows.
  large_scores,
  /// Some elements so large that their products overflow float32.
  overflowing,
  /// NaN and infinities in whatever no row sees.
  poisoned_where_blocked,
  /// A NaN or two, wherever they fall.
  some_nan,
  /// Some infinities of either sign.
  some_infinities,
  // Not drawn; for the tests that ask for them.
  /// Values of about 1e30 (float16: up to 6e4).
  huge_values,
  /// Scores of about 1e30 (float16: 1e4), finite, so that rows are one-hot.
  huge_scores,
  /// Values next to the smallest numbers of the type.
  denormal_values,
  /// Queries next to the smallest numbers, keys so large that the scores are ordinary.
  denormal_queries,
  /// All keys the same, so that the scores of a row are equal.
  equal_keys,
};

/// One problem of the conformance test. All of it, values included, follows from `seed` and
/// `dtype`.
struct SdpaCase {
  std::uint64_t seed = 0;
  DType dtype = DType::float32;

  std::int64_t B = 1;
  std::int64_t H = 1;
  std::int64_t Hkv = 1;
  std::int64_t L = 1;
  std::int64_t S = 1;
  std::int64_t D = 1;
  std::int64_t Dv = 1;

  Content content = Content::ordinary;
  bool causal = false;
  Positions positions = Positions::unnamed;
  std::int64_t offset = 0;  // for Positions::at
  Window window = {};
  std::optional<DType> key_lengths = {};
  double softcap = 0;
  std::optional<DType> alibi_slopes = {};
  std::optional<DType> sinks = {};
  std::optional<double> scale = {};
  SdpaDropout dropout = {};

  MaskKind mask = MaskKind::none;
  DType mask_dtype = DType::boolean;
  Shape mask_shape = {};
  double mask_blocked = 0;  // the share of blocked cells
  bool mask_has_lowest = false;
  std::int64_t mask_first_keys = 0;  // keys that every row has blocked, from the first on

  Arrangement q = Arrangement::dense;
  Arrangement k = Arrangement::dense;
  Arrangement v = Arrangement::dense;
  Arrangement mask_arrangement = Arrangement::dense;
  Arrangement vectors = Arrangement::dense;  // key lengths, slopes and sinks
  Arrangement outputs = Arrangement::dense;

  bool with_lse = true;
  bool with_weights = true;
  bool owning = false;  // sdpa instead of sdpa_into
  int threads = 1;

  bool counts_positions() const noexcept {
    return causal || window.left >= 0 || window.right >= 0 || alibi_slopes.has_value();
  }
};

/// Draws each option on its own, so that all pairs of them occur in a few thousand problems.
SdpaCase draw_case(std::uint64_t seed, DType dtype);

/// The same with sizes that reach further: heads of up to 256, and now and then few queries to keys
/// that the decoding kernel splits.
SdpaCase draw_wide_case(std::uint64_t seed, DType dtype);

/// Every field in one line.
std::string describe(const SdpaCase& c);

}  // namespace attention::tests
