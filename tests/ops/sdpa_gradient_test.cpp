#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa_backward.hpp>

#include "harness/draws.hpp"

/// The gradients of sdpa against central differences, in float64: over masks, grouped heads, Dv !=
/// D, windows, sinks, softcap, ALiBi and dropout.
namespace attention::tests {
namespace {

constexpr double kStep = 1e-6;
constexpr double kAbsolute = 1e-5;
constexpr double kRelative = 1e-3;
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

Tensor<double> drawn(const Shape& shape, Draws& draws) {
  Tensor<double> tensor(shape);
  for (double& x : tensor.values()) {
    x = draws.normal();
  }
  return tensor;
}

/// A small problem with any options.
struct Problem {
  Tensor<double> q;
  Tensor<double> k;
  Tensor<double> v;
  Tensor<double> d_out;
  MaskKind mask_kind = MaskKind::none;
  Tensor<double> bias;
  Tensor<bool> cells;
  Tensor<double> slopes;
  Tensor<double> sinks;
  Tensor<std::int32_t> lengths;
  bool causal = false;
  Alignment alignment = Alignment::top_left();
  Window window;
  double softcap = 0;
  SdpaDropout dropout;

  explicit Problem(std::uint64_t seed);

  SdpaOptions options() const {
    SdpaOptions all{.causal = causal,
                    .alignment = alignment,
                    .window = window,
                    .softcap = softcap,
                    .dropout = dropout,
                    .return_mask_gradient = mask_kind == MaskKind::add,
                    .execution = {.path = Path::reference, .threads = 1}};
    switch (mask_kind) {
      case MaskKind::add:
        all.mask = Mask::add(bias);
        break;
      case MaskKind::keep:
        all.mask = Mask::keep(cells);
        break;
      case MaskKind::block:
        all.mask = Mask::block(cells);
        break;
      case MaskKind::none:
        break;
    }
    if (!slopes.is_null()) {
      all.alibi_slopes = slopes.view();
    }
    if (!sinks.is_null()) {
      all.sinks = sinks.view();
    }
    if (!lengths.is_null()) {
      all.key_lengths = lengths.view();
    }
    return all;
  }

  /// What the gradients are of.
  double result() const {
    const auto attended = sdpa(q, k, v, options());
    double sum = 0;
    for (std::size_t n = 0; n < attended.out.values().size(); ++n) {
      sum += attended.out.values()[n] * d_out.values()[n];
    }
    return sum;
  }

  SdpaGradients<double> gradients() const {
    const auto saved = sdpa(q, k, v, options());
    return sdpa_backward(d_out, q, k, v, {.out = saved.out, .lse = saved.lse}, options());
  }
};

Problem::Problem(std::uint64_t seed) {
  Draws draws(seed);
  const std::int64_t B = 1 + draws.below(2);
  const std::int64_t Hkv = 1 + draws.below(2);
  const std::int64_t H = Hkv * (1 + draws.below(2));
  const std::int64_t L = 1 + draws.below(4);
  const std::int64_t S = 1 + draws.below(5);
  const std::int64_t D = draws.below(4);
  const std::int64_t Dv = 1 + draws.below(3);
  q = drawn({B, H, L, D}, draws);
  k = drawn({B, Hkv, S, D}, draws);
  v = drawn({B, Hkv, S, Dv}, draws);
  d_out = drawn({B, H, L, Dv}, draws);
  mask_kind = draws.one_of({MaskKind::none, MaskKind::none, MaskKind::keep, MaskKind::block,
                            MaskKind::add, MaskKind::add});
  const auto extent = [&](std::int64_t full) { return draws.chance(0.4) ? 1 : full; };
  Shape mask_shape = {extent(B), extent(H), extent(L), extent(S)};
  for (std::int64_t drop = draws.below(4); drop > 0; --drop) {
    mask_shape.erase(0);
  }
  if (mask_kind == MaskKind::add) {
    bias = drawn(mask_shape, draws);
    for (double& x : bias.values()) {
      x = draws.chance(0.2) ? kMinusInfinity : x;
    }
  } else if (mask_kind != MaskKind::none) {
    cells = Tensor<bool>(mask_shape);
    for (bool& cell : cells.values()) {
      cell = draws.chance(0.5);
    }
  }
  slopes = draws.chance(0.3) ? drawn({H}, draws) : Tensor<double>();
  sinks = draws.chance(0.4) ? drawn({H}, draws) : Tensor<double>();
  if (draws.chance(0.3)) {
    lengths = Tensor<std::int32_t>({B});
    for (std::int32_t& length : lengths.values()) {
      length = static_cast<std::int32_t>(draws.below(S + 1));
    }
  }
  causal = draws.chance(0.4);
  alignment = draws.one_of({Alignment::top_left(), Alignment::bottom_right(), Alignment::at(1)});
  window = {.left = draws.below(4) - 1, .right = draws.below(4) - 1};
  softcap = draws.chance(0.3) ? 1.5 : 0.0;
  if (draws.chance(0.4)) {
    dropout = {.probability = draws.one_of({0.1, 0.5, 0.8}), .seed = seed, .call = draws.next()};
  }
}

/// Every element of an input, moved a little to either side.
void expect_gradient(Problem& problem, Tensor<double>& input, const Tensor<double>& found,
                     const std::string& name) {
  ASSERT_EQ(found.shape(), input.shape()) << name;
  for (std::size_t n = 0; n < input.values().size(); ++n) {
    double& x = input.values()[n];
    if (x == kMinusInfinity) {
      EXPECT_EQ(found.values()[n], 0.0) << name << " " << n;
      continue;
    }
    const double before = x;
    x = before + kStep;
    const double above = problem.result();
    x = before - kStep;
    const double below = problem.result();
    x = before;
    const double expected = (above - below) / (2 * kStep);
    EXPECT_NEAR(found.values()[n], expected, kAbsolute + kRelative * std::abs(expected))
        << name << " " << n;
  }
}

TEST(SdpaGradient, EqualsCentralDifferences) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem(seed);
    const SdpaGradients<double> found = problem.gradients();
    expect_gradient(problem, problem.q, found.q, "q");
    expect_gradient(problem, problem.k, found.k, "k");
    expect_gradient(problem, problem.v, found.v, "v");
    if (problem.mask_kind == MaskKind::add) {
      expect_gradient(problem, problem.bias, found.mask, "mask");
    } else {
      EXPECT_TRUE(found.mask.is_null());
    }
    if (!problem.sinks.is_null()) {
      expect_gradient(problem, problem.sinks, found.sinks, "sinks");
    } else {
      EXPECT_TRUE(found.sinks.is_null());
    }
    if (HasFailure()) {
      return;
    }
  }
}

/// Two keys, one feature, by hand: weights 1/3 and 2/3 (scores 0 and ln 2), values 0 and 3.
TEST(SdpaGradient, TwoKeysByHand) {
  const Tensor<double> q({1, 1, 1, 1}, {1});
  const Tensor<double> k({1, 1, 2, 1}, {0, std::numbers::ln2});
  const Tensor<double> v({1, 1, 2, 1}, {0, 3});
  const Tensor<double> one({1, 1, 1, 1}, {1});
  const auto saved = sdpa(q, k, v);
  const auto found = sdpa_backward(one, q, k, v, {.out = saved.out, .lse = saved.lse});
  // out = 2; d_scores = weights (v - out) = (-2/3, 2/3).
  EXPECT_NEAR(saved.out(0, 0, 0, 0), 2.0, 1e-15);
  EXPECT_NEAR(found.v(0, 0, 0, 0), 1.0 / 3, 1e-15);
  EXPECT_NEAR(found.v(0, 0, 1, 0), 2.0 / 3, 1e-15);
  EXPECT_NEAR(found.k(0, 0, 0, 0), -2.0 / 3, 1e-15);
  EXPECT_NEAR(found.k(0, 0, 1, 0), 2.0 / 3, 1e-15);
  EXPECT_NEAR(found.q(0, 0, 0, 0), std::numbers::ln2 * 2 / 3, 1e-15);
}

/// NaN wherever no row sees, in q, k, v and d_out: the same gradients as without.
TEST(SdpaGradient, NoBitDependsOnABlockedCell) {
  Draws draws(5);
  const Tensor<bool> keep({3, 4}, {true, false, true, false,    // row 0 sees keys 0 and 2
                                   false, false, false, false,  // row 1 sees none
                                   true, false, false, false});
  const Tensor<double> q = drawn({1, 1, 3, 2}, draws);
  const Tensor<double> k = drawn({1, 1, 4, 2}, draws);
  const Tensor<double> v = drawn({1, 1, 4, 2}, draws);
  const Tensor<double> d_out = drawn({1, 1, 3, 2}, draws);
  const auto gradients = [&](TensorView<const double> d, TensorView<const double> queries,
                             TensorView<const double> keys, TensorView<const double> values) {
    const SdpaOptions options{.mask = Mask::keep(keep)};
    const auto saved = sdpa(queries, keys, values, options);
    return sdpa_backward(d, queries, keys, values, {.out = saved.out, .lse = saved.lse}, options);
  };
  const auto poisoned = [](const Tensor<double>& tensor, std::int64_t row) {
    Tensor<double> copy = Tensor<double>::copy_of(tensor.view());
    copy(0, 0, row, 0) = copy(0, 0, row, 1) = std::numeric_limits<double>::quiet_NaN();
    return copy;
  };
  const auto expected = gradients(d_out, q, k, v);
  const auto found = gradients(poisoned(d_out, 1), poisoned(q, 1), poisoned(k, 1), poisoned(v, 3));
  const auto same = [](const Tensor<double>& a, const Tensor<double>& b) {
    return std::vector<double>(a.values().begin(), a.values().end()) ==
           std::vector<double>(b.values().begin(), b.values().end());
  };
  EXPECT_TRUE(same(found.q, expected.q));
  EXPECT_TRUE(same(found.k, expected.k));
  EXPECT_TRUE(same(found.v, expected.v));
}

TEST(SdpaGradient, EmptyDimensionsGiveNothing) {
  const Tensor<float> q({2, 2, 3, 4});
  const Tensor<float> k({2, 1, 0, 4});
  const auto saved = sdpa(q, k, k);
  const auto found = sdpa_backward(saved.out, q, k, k, {.out = saved.out, .lse = saved.lse});
  EXPECT_EQ(found.q.shape(), q.shape());
  EXPECT_EQ(found.k.shape(), k.shape());
  for (const float x : found.q.values()) {
    EXPECT_EQ(x, 0.0F);
  }
}

/// The 16-bit types: gradients of what the rounded inputs say, rounded once.
template <class T>
class SdpaGradientOfType : public ::testing::Test {};
using Types = ::testing::Types<float, float16, bfloat16>;
TYPED_TEST_SUITE(SdpaGradientOfType, Types);

TYPED_TEST(SdpaGradientOfType, IsThatOfFloat64RoundedOnce) {
  Draws draws(11);
  const auto rounded = [](const Tensor<double>& from) {
    Tensor<TypeParam> to(from.shape());
    for (std::size_t n = 0; n < to.values().size(); ++n) {
      to.values()[n] = element_cast<TypeParam>(from.values()[n]);
    }
    return to;
  };
  const auto wide = [](const Tensor<TypeParam>& from) {
    Tensor<double> to(from.shape());
    for (std::size_t n = 0; n < to.values().size(); ++n) {
      to.values()[n] = element_cast<double>(from.values()[n]);
    }
    return to;
  };
  const auto q = rounded(drawn({1, 4, 5, 6}, draws));
  const auto k = rounded(drawn({1, 2, 7, 6}, draws));
  const auto v = rounded(drawn({1, 2, 7, 3}, draws));
  const auto d_out = rounded(drawn({1, 4, 5, 3}, draws));
  const auto saved = sdpa(q, k, v);
  const auto found = sdpa_backward(d_out, q, k, v, {.out = saved.out, .lse = saved.lse},
                                   {.execution = {.path = Path::reference}});
  const auto exact = sdpa(wide(q), wide(k), wide(v));
  const auto expected =
      sdpa_backward(wide(d_out), wide(q), wide(k), wide(v), {.out = exact.out, .lse = exact.lse});
  const auto check = [](const Tensor<TypeParam>& a, const Tensor<double>& b) {
    for (std::size_t n = 0; n < a.values().size(); ++n) {
      EXPECT_EQ(element_cast<double>(a.values()[n]),
                element_cast<double>(element_cast<TypeParam>(b.values()[n])));
    }
  };
  check(found.q, expected.q);
  check(found.k, expected.k);
  check(found.v, expected.v);
}

}  // namespace
}  // namespace attention::tests
