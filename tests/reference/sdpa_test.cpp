#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/sdpa_problem.hpp>
#include <attention/core/tensor.hpp>
#include <attention/reference/sdpa.hpp>

/// The definition of attention on problems small enough to be done by hand. Keys are logarithms of
/// small integers, so that with q = 1 the weights are fractions that a reader can check.
namespace attention {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2 = std::numbers::ln2;
const double kLog3 = std::log(3.0);
const double kLog4 = std::log(4.0);
const double kLog6 = std::log(6.0);

/// One batch entry, one head, L queries and S keys of one dimension, values of one dimension.
template <class T>
class Small {
 public:
  Small(const std::vector<double>& q, const std::vector<double>& k, const std::vector<double>& v)
      : q_(tensor(q)),
        k_(tensor(k)),
        v_(tensor(v)),
        out_({1, 1, q_.size(2), 1}),
        lse_({1, 1, q_.size(2)}),
        weights_({1, 1, q_.size(2), k_.size(2)}) {}

  ScoreRules rules;

  template <class Real = double>
  void run() {
    const std::int64_t L = q_.size(2);
    const std::int64_t S = k_.size(2);
    const SdpaProblem<T> problem{.B = 1,
                                 .H = 1,
                                 .Hkv = 1,
                                 .L = L,
                                 .S = S,
                                 .D = 1,
                                 .Dv = 1,
                                 .q = q_,
                                 .k = k_,
                                 .v = v_,
                                 .out = out_,
                                 .lse = lse_,
                                 .maximum = {},
                                 .weights = weights_,
                                 .rules = rules};
    reference::sdpa<Real, T>(problem);
  }

  std::vector<double> out() const { return wide(out_); }
  std::vector<double> lse() const { return wide(lse_); }
  /// Row i of the weights, times `denominator`.
  std::vector<double> weights(std::int64_t i, double denominator) const {
    std::vector<double> row;
    row.reserve(static_cast<std::size_t>(k_.size(2)));
    for (std::int64_t j = 0; j < k_.size(2); ++j) {
      row.push_back(static_cast<double>(weights_(0, 0, i, j)) * denominator);
    }
    return row;
  }

 private:
  static Tensor<T> tensor(const std::vector<double>& values) {
    Tensor<T> result({1, 1, static_cast<std::int64_t>(values.size()), 1});
    for (std::size_t n = 0; n < values.size(); ++n) {
      result.values()[n] = element_cast<T>(values[n]);
    }
    return result;
  }
  template <class Element>
  static std::vector<double> wide(const Tensor<Element>& tensor) {
    std::vector<double> values;
    values.reserve(tensor.values().size());
    for (const Element value : tensor.values()) {
      values.push_back(element_cast<double>(value));
    }
    return values;
  }

  Tensor<T> q_;
  Tensor<T> k_;
  Tensor<T> v_;
  Tensor<T> out_;
  Tensor<Accumulator<T>> lse_;
  Tensor<Accumulator<T>> weights_;
};

auto near(const std::vector<double>& expected) {
  return Pointwise(DoubleNear(1e-14), expected);
}

/// Scores log 1, log 2, log 3: weights 1/6, 2/6, 3/6.
TEST(ReferenceSdpa, OneQueryThreeKeys) {
  Small<double> problem({1}, {0, kLog2, kLog3}, {6, 12, 18});
  problem.run();
  EXPECT_THAT(problem.weights(0, 6), near({1, 2, 3}));
  EXPECT_THAT(problem.lse(), near({kLog6}));
  EXPECT_THAT(problem.out(), near({1 + 4 + 9}));
}

/// Query 0 sees scores (log 2, 0), query 1 (log 4, 0): 2/3, 1/3 and 4/5, 1/5.
TEST(ReferenceSdpa, TwoByTwo) {
  Small<double> problem({1, 2}, {kLog2, 0}, {15, 0});
  problem.run();
  EXPECT_THAT(problem.weights(0, 3), near({2, 1}));
  EXPECT_THAT(problem.weights(1, 5), near({4, 1}));
  EXPECT_THAT(problem.out(), near({10, 12}));
  EXPECT_THAT(problem.lse(), near({kLog3, std::log(5.0)}));
}

TEST(ReferenceSdpa, ScaleMultipliesTheScores) {
  Small<double> problem({1, 2}, {kLog2, 0}, {15, 0});
  problem.rules.scale = 2;
  problem.run();
  EXPECT_THAT(problem.weights(0, 5), near({4, 1}));
  EXPECT_THAT(problem.weights(1, 17), near({16, 1}));
}

TEST(ReferenceSdpa, CausalThreeByThree) {
  Small<double> problem({1, 1, 1}, {0, kLog2, kLog3}, {6, 12, 18});
  problem.rules.causal = true;
  problem.run();
  EXPECT_THAT(problem.weights(0, 1), near({1, 0, 0}));
  EXPECT_THAT(problem.weights(1, 3), near({1, 2, 0}));
  EXPECT_THAT(problem.weights(2, 6), near({1, 2, 3}));
  EXPECT_THAT(problem.out(), near({6, 10, 14}));
  EXPECT_THAT(problem.lse(), near({0, kLog3, kLog6}));
}

TEST(ReferenceSdpa, CausalWithAnOffset) {
  Small<double> problem({1, 1}, {0, kLog2, kLog3}, {6, 12, 18});
  problem.rules.causal = true;
  problem.rules.query_offset = 1;
  problem.run();
  EXPECT_THAT(problem.weights(0, 3), near({1, 2, 0}));
  EXPECT_THAT(problem.weights(1, 6), near({1, 2, 3}));
  problem.rules.query_offset = -1;
  problem.run();
  EXPECT_EQ(problem.weights(0, 1), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(problem.lse()[0], -kInfinity);
  EXPECT_THAT(problem.weights(1, 1), near({1, 0, 0}));
}

/// Counted from the last key: offset 2 - 2 = 0 with two valid keys.
TEST(ReferenceSdpa, KeyLengthsAndTheOffsetFromTheirEnd) {
  const Tensor<std::int32_t> lengths({1}, {2});
  Small<double> problem({1, 1}, {0, kLog2, kNaN}, {6, 12, kNaN});
  problem.rules.key_lengths = lengths;
  problem.run();
  EXPECT_THAT(problem.weights(0, 3), near({1, 2, 0}));
  EXPECT_THAT(problem.out(), near({10, 10}));
  problem.rules.causal = true;
  problem.rules.offset_from_key_end = true;
  problem.run();
  EXPECT_THAT(problem.weights(0, 1), near({1, 0, 0}));
  EXPECT_THAT(problem.weights(1, 3), near({1, 2, 0}));
}

TEST(ReferenceSdpa, WindowsIncludeBothEnds) {
  Small<double> problem({1, 1, 1}, {0, kLog2, kLog3}, {6, 12, 18});
  problem.rules.window_left = 1;
  problem.rules.window_right = 0;
  problem.run();
  EXPECT_THAT(problem.weights(0, 1), near({1, 0, 0}));
  EXPECT_THAT(problem.weights(1, 3), near({1, 2, 0}));
  EXPECT_THAT(problem.weights(2, 5), near({0, 2, 3}));
  problem.rules.window_left = -1;
  problem.rules.window_right = 1;
  problem.run();
  EXPECT_THAT(problem.weights(0, 3), near({1, 2, 0}));
  EXPECT_THAT(problem.weights(1, 6), near({1, 2, 3}));
}

TEST(ReferenceSdpa, KeepAndBlockMasks) {
  const Tensor<bool> mask({1, 3}, {true, false, true});
  Small<double> problem({1}, {0, kLog2, kLog3}, {4, 12, 8});
  problem.rules.mask = AnyView(mask).broadcast_to({1, 1, 1, 3});
  problem.rules.mask_kind = MaskKind::keep;
  problem.run();
  EXPECT_THAT(problem.weights(0, 4), near({1, 0, 3}));
  EXPECT_THAT(problem.out(), near({1 + 6}));
  problem.rules.mask_kind = MaskKind::block;
  problem.run();
  EXPECT_THAT(problem.weights(0, 1), near({0, 1, 0}));
  EXPECT_THAT(problem.out(), near({12}));
}

/// log 1 + log 6, log 2 + log 2, log 3 + log 1: 6, 4, 3 of 13; and -inf blocks.
TEST(ReferenceSdpa, AddedMask) {
  const Tensor<double> bias({3}, {kLog6, kLog2, 0});
  Small<double> problem({1}, {0, kLog2, kLog3}, {1, 10, 100});
  problem.rules.mask = AnyView(bias).broadcast_to({1, 1, 1, 3});
  problem.rules.mask_kind = MaskKind::add;
  problem.run();
  EXPECT_THAT(problem.weights(0, 13), near({6, 4, 3}));
  const Tensor<float> blocking({3}, {0.0F, -HUGE_VALF, 0.0F});
  problem.rules.mask = AnyView(blocking).broadcast_to({1, 1, 1, 3});
  problem.run();
  EXPECT_THAT(problem.weights(0, 4), near({1, 0, 3}));
}

/// With slope log 2 a weight halves with each step: from key 1, 1/2, 1, 1/2.
TEST(ReferenceSdpa, Alibi) {
  const Tensor<double> slopes({1}, {kLog2});
  Small<double> problem({0}, {1, 1, 1}, {4, 8, 12});
  problem.rules.alibi_slopes = slopes;
  problem.rules.query_offset = 1;
  problem.run();
  EXPECT_THAT(problem.weights(0, 4), near({1, 2, 1}));
  problem.rules.query_offset = -1;  // distances 1, 2, 3
  problem.run();
  EXPECT_THAT(problem.weights(0, 7), near({4, 2, 1}));
}

/// The sink takes 6 of 12 parts, and has no value.
TEST(ReferenceSdpa, Sink) {
  const Tensor<double> sinks({1}, {kLog6});
  Small<double> problem({1}, {0, kLog2, kLog3}, {12, 24, 36});
  problem.rules.sinks = sinks;
  problem.run();
  EXPECT_THAT(problem.weights(0, 12), near({1, 2, 3}));
  EXPECT_THAT(problem.lse(), near({std::log(12.0)}));
  EXPECT_THAT(problem.out(), near({14}));
}

/// c tanh(s / c) = log 2 for s = c artanh(log 2 / c), and the mask comes after it.
TEST(ReferenceSdpa, SoftcapComesBeforeTheMask) {
  const double cap = 1.5;
  const Tensor<double> bias({2}, {0, kLog3});
  Small<double> problem({cap * std::atanh(kLog2 / cap)}, {1, 0}, {1, 0});
  problem.rules.softcap = cap;
  problem.run();
  EXPECT_THAT(problem.weights(0, 3), near({2, 1}));
  problem.rules.mask = AnyView(bias).broadcast_to({1, 1, 1, 2});
  problem.rules.mask_kind = MaskKind::add;
  problem.run();
  EXPECT_THAT(problem.weights(0, 5), near({2, 3}));
}

TEST(ReferenceSdpa, ARowThatSeesNothing) {
  const Tensor<bool> mask({2, 1}, {false, true});
  Small<double> problem({1, 1}, {0, kLog2, kLog3}, {6, 12, 18});
  problem.rules.mask = AnyView(mask).broadcast_to({1, 1, 2, 3});
  problem.rules.mask_kind = MaskKind::keep;
  problem.run();
  EXPECT_EQ(problem.weights(0, 1), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(problem.out()[0], 0);
  EXPECT_EQ(problem.lse()[0], -kInfinity);
  EXPECT_THAT(problem.weights(1, 6), near({1, 2, 3}));
  const Tensor<double> sinks({1}, {-3.5});
  problem.rules.sinks = sinks;
  problem.run();
  EXPECT_EQ(problem.out()[0], 0);
  EXPECT_EQ(problem.lse()[0], -3.5);
}

TEST(ReferenceSdpa, NoKeys) {
  Small<double> problem({1, 2}, {}, {});
  problem.run();
  EXPECT_EQ(problem.out(), (std::vector<double>{0, 0}));
  EXPECT_EQ(problem.lse(), (std::vector<double>{-kInfinity, -kInfinity}));
}

/// Scores of 1000 and more: exp would overflow without the maximum taken out first.
TEST(ReferenceSdpa, LargeScores) {
  Small<double> problem({1}, {1000, 1000 + kLog3, -1000}, {4, 8, 0});
  problem.run();
  EXPECT_NEAR(problem.weights(0, 4)[0], 1, 1e-12);
  EXPECT_NEAR(problem.weights(0, 4)[1], 3, 1e-12);
  EXPECT_EQ(problem.weights(0, 4)[2], 0);
  EXPECT_NEAR(problem.lse()[0], 1000 + kLog4, 1e-12);
}

/// Two batch entries, four query heads on two key heads, two dimensions: each query picks the key
/// whose one-hot pattern it shares, with scores 30 apart.
TEST(ReferenceSdpa, BatchesHeadsAndDimensions) {
  Tensor<double> q({2, 4, 1, 2});
  Tensor<double> k({2, 2, 2, 2});
  Tensor<double> v({2, 2, 2, 3});
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 4; ++h) {
      q(b, h, 0, h % 2) = 60;
    }
    for (std::int64_t h = 0; h < 2; ++h) {
      for (std::int64_t j = 0; j < 2; ++j) {
        k(b, h, j, j) = 1;
        for (std::int64_t d = 0; d < 3; ++d) {
          v(b, h, j, d) = static_cast<double>(1000 * b + 100 * h + 10 * j + d);
        }
      }
    }
  }
  Tensor<double> out({2, 4, 1, 3});
  SdpaProblem<double> problem{.B = 2,
                              .H = 4,
                              .Hkv = 2,
                              .L = 1,
                              .S = 2,
                              .D = 2,
                              .Dv = 3,
                              .q = q,
                              .k = k,
                              .v = v,
                              .out = out,
                              .lse = {},
                              .maximum = {},
                              .weights = {},
                              .rules = {}};
  problem.rules.scale = 0.5;
  reference::sdpa<double, double>(problem);
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 4; ++h) {
      for (std::int64_t d = 0; d < 3; ++d) {
        const std::int64_t key_head = h / 2;
        EXPECT_NEAR(out(b, h, 0, d),
                    static_cast<double>(1000 * b + 100 * key_head + 10 * (h % 2) + d), 1e-10);
      }
    }
  }
}

/// What is computed in Real shows: 1 + 2^-30 is 1 in float.
TEST(ReferenceSdpa, ComputesInReal) {
  const double step = 0x1p-30;
  Small<double> problem({1}, {1 + step, 1}, {1, 0});
  problem.run<double>();
  EXPECT_NEAR(problem.weights(0, 1)[0] - 0.5, step / 4, 1e-16);
  problem.run<float>();
  EXPECT_EQ(problem.weights(0, 1)[0], 0.5);
}

/// out = 1/3 + ..., rounded once to the element type; weights and lse to float.
template <class T>
void expect_rounded_once() {
  Small<T> problem({0}, {1, 1, 1}, {1, 0, 0});
  problem.run();
  EXPECT_EQ(problem.out()[0], element_cast<double>(element_cast<T>(1.0 / 3)));
  EXPECT_EQ(problem.weights(0, 1)[0], static_cast<double>(static_cast<float>(1.0 / 3)));
  EXPECT_EQ(problem.lse()[0], static_cast<double>(static_cast<float>(kLog3)));
}

TEST(ReferenceSdpa, RoundsOnceWhenWriting) {
  expect_rounded_once<float>();
  expect_rounded_once<float16>();
  expect_rounded_once<bfloat16>();
}

TEST(ReferenceSdpa, BlockedKeysAreNotReadAtAll) {
  const Tensor<bool> mask({3}, {true, false, true});
  Small<double> problem({1}, {0, kNaN, kLog3}, {4, kInfinity, 8});
  problem.rules.mask = AnyView(mask).broadcast_to({1, 1, 1, 3});
  problem.rules.mask_kind = MaskKind::keep;
  problem.run();
  EXPECT_THAT(problem.out(), near({7}));
  const Tensor<bool> wrong({3}, {true, true, true});
  problem.rules.mask = AnyView(wrong).broadcast_to({1, 1, 1, 3});
  problem.run();
  EXPECT_TRUE(std::isnan(problem.out()[0]));
}

TEST(ReferenceSdpa, OneRowAlone) {
  const Tensor<double> q({1, 1, 3, 1}, {0, 1, 2});
  const Tensor<double> k({1, 1, 2, 1}, {kLog2, 0});
  const Tensor<double> v({1, 1, 2, 1}, {15, 0});
  Tensor<double> out({1, 1, 3, 1}, {-1, -1, -1});
  Tensor<double> lse({1, 1, 3}, {-1, -1, -1});
  const SdpaProblem<double> problem{.B = 1,
                                    .H = 1,
                                    .Hkv = 1,
                                    .L = 3,
                                    .S = 2,
                                    .D = 1,
                                    .Dv = 1,
                                    .q = q,
                                    .k = k,
                                    .v = v,
                                    .out = out,
                                    .lse = lse,
                                    .maximum = {},
                                    .weights = {},
                                    .rules = {}};
  std::vector<reference::VisibleKey<double>> scratch(2);
  reference::sdpa_row<double, double>(problem, 0, 0, 2, scratch.data());
  EXPECT_THAT(out.values(), near({-1, -1, 12}));
  EXPECT_THAT(lse.values(), near({-1, -1, std::log(5.0)}));
}

}  // namespace
}  // namespace attention
