#include <cmath>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include <attention/ops/linear.hpp>
#include <attention/ops/linear_backward.hpp>

#include "harness/draws.hpp"

/// The gradients of linear against central differences, in float64.
namespace attention::tests {
namespace {

constexpr double kStep = 1e-6;
constexpr double kAbsolute = 1e-5;
constexpr double kRelative = 1e-3;

Tensor<double> drawn(const Shape& shape, Draws& draws) {
  Tensor<double> tensor(shape);
  for (double& x : tensor.values()) {
    x = draws.normal();
  }
  return tensor;
}

/// A small problem of any rank.
struct Problem {
  Tensor<double> x;
  Tensor<double> weight;
  Tensor<double> bias;
  Tensor<double> d_out;

  explicit Problem(std::uint64_t seed) {
    Draws draws(seed);
    Shape in;
    for (std::int64_t outer = draws.below(4); outer > 0; --outer) {
      in.push_back(1 + draws.below(3));
    }
    Shape out = in;
    in.push_back(1 + draws.below(20));
    out.push_back(1 + draws.below(5));
    x = drawn(in, draws);
    d_out = drawn(out, draws);
    weight = drawn({out[out.rank() - 1], in[in.rank() - 1]}, draws);
    bias = drawn({out[out.rank() - 1]}, draws);
  }

  /// What the gradients are of.
  double result() const {
    const Tensor<double> out = linear(x, weight, bias);
    double sum = 0;
    for (std::size_t n = 0; n < out.values().size(); ++n) {
      sum += out.values()[n] * d_out.values()[n];
    }
    return sum;
  }
};

/// Every element of an input, moved a little to either side.
void expect_gradient(const Problem& problem, Tensor<double>& input, const Tensor<double>& found,
                     const std::string& name) {
  ASSERT_EQ(found.shape(), input.shape()) << name;
  for (std::size_t n = 0; n < input.values().size(); ++n) {
    double& x = input.values()[n];
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

TEST(LinearGradient, EqualsCentralDifferences) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem(seed);
    const auto found = linear_backward(problem.d_out, problem.x, problem.weight);
    expect_gradient(problem, problem.x, found.x, "x");
    expect_gradient(problem, problem.weight, found.weight, "weight");
    expect_gradient(problem, problem.bias, found.bias, "bias");
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace attention::tests
