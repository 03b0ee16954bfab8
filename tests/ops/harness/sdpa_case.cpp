#include "sdpa_case.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>

namespace attention::tests {
namespace {

std::int64_t draw_length(Draws& draws) {
  return draws.one_of<std::int64_t>({0, 1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129});
}

void draw_sizes(SdpaCase& c, Draws& draws) {
  c.B = draws.one_of<std::int64_t>({0, 1, 1, 2, 3});
  c.Hkv = draws.one_of<std::int64_t>({1, 1, 2, 3});
  c.H = c.Hkv * draws.one_of<std::int64_t>({1, 1, 2, 3});
  c.L = draw_length(draws);
  c.S = draws.chance(0.25) ? c.L : draw_length(draws);
  c.D = draws.one_of<std::int64_t>({0, 1, 3, 8, 17, 40, 64});
  c.Dv = draws.chance(0.3) ? c.D : draws.one_of<std::int64_t>({0, 1, 3, 8, 17, 40, 64});
}

std::int64_t draw_window_side(Draws& draws) {
  return draws.chance(0.4) ? -1 : draws.one_of<std::int64_t>({0, 1, 2, 7, 16, 63, 200});
}

void draw_positions(SdpaCase& c, Draws& draws) {
  c.causal = draws.chance(0.4);
  if (draws.chance(0.4)) {
    c.window = {.left = draw_window_side(draws), .right = draw_window_side(draws)};
  }
  if (draws.chance(0.3)) {
    c.alibi_slopes = draws.one_of({DType::float32, DType::float64});
  }
  c.positions = draws.one_of(
      {Positions::unnamed, Positions::top_left, Positions::bottom_right, Positions::at});
  if (c.positions == Positions::unnamed && c.counts_positions() && c.L != c.S) {
    c.positions = draws.one_of({Positions::top_left, Positions::bottom_right, Positions::at});
  }
  if (c.positions == Positions::at) {
    c.offset = draws.one_of<std::int64_t>({0, 1, -1, 5, -7, 64, 1000, c.S - c.L, c.S, -c.L});
  }
}

void draw_mask(SdpaCase& c, Draws& draws) {
  c.mask = draws.one_of({MaskKind::none, MaskKind::keep, MaskKind::block, MaskKind::add});
  if (c.mask == MaskKind::none) {
    return;
  }
  if (c.mask == MaskKind::add) {
    c.mask_dtype = draws.one_of({DType::float32, DType::float64, DType::float16, DType::bfloat16});
    c.mask_has_lowest = draws.chance(0.3);
  }
  const std::array<std::int64_t, 4> whole = {c.B, c.H, c.L, c.S};
  const auto rank = static_cast<int>(draws.below(5));
  for (int dim = 4 - rank; dim < 4; ++dim) {
    c.mask_shape.push_back(draws.chance(0.4) ? 1 : whole[static_cast<std::size_t>(dim)]);
  }
  c.mask_blocked = draws.one_of({0.0, 0.1, 0.5, 0.9, 1.0});
  c.mask_arrangement =
      draws.one_of({Arrangement::dense, Arrangement::permuted, Arrangement::reversed,
                    Arrangement::repeated, Arrangement::misaligned});
}

Arrangement draw_input(Draws& draws) {
  return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                       Arrangement::permuted, Arrangement::reversed, Arrangement::repeated,
                       Arrangement::misaligned});
}

void draw_arrangements(SdpaCase& c, Draws& draws) {
  c.q = draw_input(draws);
  c.k = draw_input(draws);
  c.v = draw_input(draws);
  c.vectors = draws.one_of({Arrangement::dense, Arrangement::permuted, Arrangement::reversed});
  c.outputs = draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                            Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
  if (c.content == Content::ordinary || c.content == Content::large_scores) {
    return;
  }
  // A special value is put into one element, so each element must have a place of its own.
  for (Arrangement* arrangement : {&c.q, &c.k, &c.v, &c.mask_arrangement}) {
    if (*arrangement == Arrangement::repeated) {
      *arrangement = Arrangement::permuted;
    }
  }
}

std::string_view name_of(Content content) {
  constexpr std::array<std::string_view, 11> kNames = {
      "ordinary",        "large_scores",     "overflowing", "poisoned_where_blocked",
      "some_nan",        "some_infinities",  "huge_values", "huge_scores",
      "denormal_values", "denormal_queries", "equal_keys",
  };
  return kNames[static_cast<std::size_t>(content)];
}

std::string_view name_of(Positions positions) {
  constexpr std::array<std::string_view, 4> kNames = {"unnamed", "top_left", "bottom_right", "at"};
  return kNames[static_cast<std::size_t>(positions)];
}

std::string_view name_of(MaskKind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"none", "keep", "block", "add"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view name_of(const std::optional<DType>& dtype) {
  return dtype ? attention::name_of(*dtype) : "none";
}

}  // namespace

SdpaCase draw_case(std::uint64_t seed, DType dtype) {
  Draws draws(seed);
  SdpaCase c;
  c.seed = seed;
  c.dtype = dtype;
  draw_sizes(c, draws);
  c.content =
      draws.one_of({Content::ordinary, Content::ordinary, Content::ordinary, Content::large_scores,
                    Content::overflowing, Content::poisoned_where_blocked,
                    Content::poisoned_where_blocked, Content::some_nan, Content::some_infinities});
  draw_positions(c, draws);
  draw_mask(c, draws);
  draw_arrangements(c, draws);
  if (draws.chance(0.4)) {
    c.key_lengths = draws.one_of({DType::int32, DType::int64});
  }
  if (draws.chance(0.3)) {
    c.sinks = draws.one_of({DType::float32, DType::float64});
  }
  c.softcap = draws.one_of({0.0, 0.0, 0.0, 0.5, 5.0, 50.0});
  if (draws.chance(0.3)) {
    // 0 times an overflow would be NaN or 0, depending on when the scale is multiplied in.
    const double small = c.content == Content::overflowing ? 0.25 : 0.0;
    c.scale = draws.one_of({1.0, 0.25, -0.7, 3.0, small});
  }
  c.with_lse = draws.chance(0.7);
  c.with_weights = draws.chance(0.5);
  c.owning = draws.chance(0.2);
  c.threads = draws.one_of({1, 1, 2, 3, 8, 0});
  if (draws.chance(0.25)) {
    c.dropout = {.probability = draws.one_of({0.1, 0.1, 0.5, 0.9, 1.0}),
                 .seed = draws.next(),
                 .call = draws.next()};
  }
  return c;
}

SdpaCase draw_wide_case(std::uint64_t seed, DType dtype) {
  SdpaCase c = draw_case(seed, dtype);
  Draws draws(~seed * 3);
  if (draws.chance(0.3)) {
    c.D = draws.one_of<std::int64_t>({59, 80, 96, 111, 128, 192, 256});
    c.Dv = draws.one_of<std::int64_t>({c.Dv, c.D, 59, 111, 128, 256});
  }
  if (draws.chance(0.3)) {
    c.B = std::min<std::int64_t>(c.B, 2);
    c.H = c.H / c.Hkv;
    c.Hkv = 1;
    c.L = draws.one_of<std::int64_t>({1, 1, 2, 3, 4, 5, 17});
    c.S = draws.one_of<std::int64_t>({300, 511, 512, 513, 700, 1025, 1500});
    if (c.positions == Positions::unnamed && c.counts_positions()) {
      c.positions = Positions::bottom_right;
    }
    const std::array<std::int64_t, 4> whole = {c.B, c.H, c.L, c.S};
    const int rank = c.mask_shape.rank();
    for (int dim = 0; dim < rank; ++dim) {
      if (c.mask_shape[dim] != 1) {
        c.mask_shape[dim] =
            whole[static_cast<std::size_t>(dim) + 4 - static_cast<std::size_t>(rank)];
      }
    }
  }
  return c;
}

std::string describe(const SdpaCase& c) {
  std::ostringstream text;
  text << "seed " << c.seed << ", " << attention::name_of(c.dtype) << ": B " << c.B << ", H " << c.H
       << ", Hkv " << c.Hkv << ", L " << c.L << ", S " << c.S << ", D " << c.D << ", Dv " << c.Dv
       << ", " << name_of(c.content) << (c.causal ? ", causal" : "") << ", positions "
       << name_of(c.positions) << " (" << c.offset << "), window (" << c.window.left << ", "
       << c.window.right << "), key_lengths " << name_of(c.key_lengths) << ", softcap " << c.softcap
       << ", alibi " << name_of(c.alibi_slopes) << ", sinks " << name_of(c.sinks) << ", scale "
       << (c.scale ? std::to_string(*c.scale) : "default") << ", dropout " << c.dropout.probability
       << ", mask " << name_of(c.mask);
  if (c.mask != MaskKind::none) {
    text << " " << attention::name_of(c.mask_dtype) << " " << to_string(c.mask_shape) << " "
         << name_of(c.mask_arrangement) << ", blocked " << c.mask_blocked
         << (c.mask_has_lowest ? ", has lowest" : "");
    if (c.mask_first_keys > 0) {
      text << ", the first " << c.mask_first_keys << " keys blocked";
    }
  }
  text << ", q " << name_of(c.q) << ", k " << name_of(c.k) << ", v " << name_of(c.v) << ", vectors "
       << name_of(c.vectors) << ", outputs " << name_of(c.outputs) << (c.with_lse ? ", lse" : "")
       << (c.with_weights ? ", weights" : "") << (c.owning ? ", owning" : "") << ", threads "
       << c.threads;
  return text.str();
}

}  // namespace attention::tests
