#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/autograd/functions.hpp>

#include "../support/message_of.hpp"
#include "drawn.hpp"

namespace attention::test {
namespace {

using autograd::SdpaExtras;
using autograd::Variable;
using Inputs = std::span<const Variable<double>>;
using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// q (2, 4, 3, 5), k (2, 2, 4, 5), v (2, 2, 4, 6): grouped heads, Dv != D, L != S.
std::vector<Tensor<double>> operands() {
  return {drawn({2, 4, 3, 5}, 1), drawn({2, 2, 4, 5}, 2), drawn({2, 2, 4, 6}, 3)};
}

void expect_sdpa_gradients(const SdpaOptions& options) {
  expect_gradients([&](Inputs x) { return autograd::sdpa(x[0], x[1], x[2], options).out; },
                   operands());
}

TEST(SdpaGradients, OfEveryOption) {
  const Tensor<bool> keep(
      {3, 4}, {true, false, true, true, false, false, false, false, true, true, true, false});
  const Tensor<std::int64_t> lengths({2}, {3, 0});
  const Tensor<double> slopes({4}, {0.5, 0.25, 0.1, 1});
  const Alignment bottom_right = Alignment::bottom_right();
  expect_sdpa_gradients({});
  expect_sdpa_gradients({.mask = Mask::keep(keep)});
  expect_sdpa_gradients({.mask = Mask::block(keep), .scale = 0.9});
  expect_sdpa_gradients({.causal = true, .alignment = bottom_right});
  expect_sdpa_gradients({.alignment = bottom_right, .window = {.left = 1, .right = 1}});
  expect_sdpa_gradients({.key_lengths = lengths.view(), .softcap = 0.7});
  expect_sdpa_gradients({.alignment = Alignment::at(2), .alibi_slopes = slopes.view()});
  expect_sdpa_gradients({.dropout = {.probability = 0.3, .seed = 5}});
}

TEST(SdpaGradients, OfABiasAndOfSinks) {
  for (const Shape& shape : {Shape{2, 4, 3, 4}, Shape{3, 4}, Shape{4, 1, 4}, Shape{1}}) {
    std::vector<Tensor<double>> inputs = operands();
    inputs.push_back(drawn(shape, 4));
    inputs.push_back(drawn({4}, 5));
    expect_gradients(
        [&](Inputs x) {
          return autograd::sdpa(x[0], x[1], x[2], {},
                                SdpaExtras<double>{.bias = x[3], .sinks = x[4]})
              .out;
        },
        inputs);
  }
}

TEST(SdpaGradients, OfBlockedCellsAreZeroWhateverTheyHold) {
  const Tensor<bool> keep({4}, {true, false, true, true});
  std::vector<Tensor<double>> inputs = operands();
  for (std::int64_t e = 0; e < 5; ++e) {
    inputs[1](1, 1, 1, e) = std::nan("");
    inputs[2](1, 1, 1, e) = kInfinity;
  }
  std::vector<Variable<double>> x;
  for (const Tensor<double>& input : inputs) {
    x.push_back(Variable<double>::parameter(input));
  }
  const Variable<double> out = autograd::sdpa(x[0], x[1], x[2], {.mask = Mask::keep(keep)}).out;
  autograd::backward(autograd::sum_to(out, {}));
  for (const Variable<double>& variable : x) {
    const Tensor<double> grad = Tensor<double>::copy_of(variable.grad());
    for (const double g : grad.values()) {
      EXPECT_TRUE(std::isfinite(g));
    }
  }
  EXPECT_EQ(x[1].grad()(1, 1, 1, 0), 0);
}

TEST(Sdpa, JoinsHeadsByAView) {
  const std::vector<Tensor<double>> inputs = operands();
  const auto attended = autograd::sdpa(Variable<double>(inputs[0]), Variable<double>(inputs[1]),
                                       Variable<double>(inputs[2]), {.return_weights = true});
  EXPECT_EQ(attended.out.shape(), (Shape{2, 4, 3, 6}));
  EXPECT_EQ(attended.weights.shape(), (Shape{2, 4, 3, 4}));
  EXPECT_EQ(attended.out.transpose(1, 2).merge(2).shape(), (Shape{2, 3, 24}));
}

TEST(Sdpa, SaysWhatIsWrong) {
  const Variable<double> q(drawn({1, 1, 2, 3}, 1));
  const Tensor<bool> keep({2, 2}, {true, true, true, true});
  const Tensor<double> sinks({1});
  const SdpaExtras<double> extras = {.bias = Variable<double>(drawn({2, 2}, 2)),
                                     .sinks = Variable<double>(drawn({1}, 2))};
  EXPECT_THAT(message_of([&] { autograd::sdpa(q, q, q.select(0, 0)); }), HasSubstr("v (1, 2, 3)"));
  EXPECT_THAT(message_of([&] { autograd::sdpa(q, q, q, {.mask = Mask::keep(keep)}, extras); }),
              HasSubstr("options.mask must be none where bias is given"));
  EXPECT_THAT(message_of([&] {
                autograd::sdpa(q, q, q, {.sinks = sinks.view()},
                               SdpaExtras<double>{.sinks = extras.sinks});
              }),
              HasSubstr("options.sinks must be null"));
}

}  // namespace
}  // namespace attention::test
