#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "harness/norms.hpp"

/// The gradients of layer_norm and rms_norm against central differences, in float64.
namespace attention::tests {
namespace {

/// A small problem of either norm.
struct Problem {
  NormKind kind;
  double epsilon;
  Tensor<double> x;
  Tensor<double> weight;  // may be null
  Tensor<double> bias;    // may be null
  Tensor<double> d_out;

  explicit Problem(std::uint64_t seed) {
    Draws draws(seed);
    const auto drawn = [&](const Shape& shape) {
      return random_tensor<double>(shape, draws.next());
    };
    kind = draws.chance(0.5) ? NormKind::layer : NormKind::rms;
    epsilon = draws.one_of({1e-5, 1e-2, 1.0});
    const std::int64_t E = 1 + draws.below(6);
    const auto shape =
        draws.one_of<Shape>({{E}, {1 + draws.below(4), E}, {2, 1 + draws.below(2), E}});
    x = drawn(shape);
    d_out = drawn(shape);
    weight = draws.chance(0.7) ? drawn({E}) : Tensor<double>();
    bias = draws.chance(0.7) ? drawn({E}) : Tensor<double>();
  }

  static TensorView<const double> given(const Tensor<double>& tensor) {
    return tensor.is_null() ? TensorView<const double>() : tensor.view();
  }
  LayerNormResult<double> forward() const {
    const NormOptions options{.epsilon = epsilon};
    return kind == NormKind::layer
               ? norm<NormKind::layer, double>(x, given(weight), given(bias), options)
               : norm<NormKind::rms, double>(x, given(weight), {}, options);
  }
  /// What the gradients are of.
  double result() const {
    const auto found = forward();
    double sum = 0;
    for (std::size_t n = 0; n < found.out.values().size(); ++n) {
      sum += found.out.values()[n] * d_out.values()[n];
    }
    return sum;
  }
  LayerNormGradients<double> gradients() const {
    const auto saved = forward();
    const LayerNormBackwardInputs<double> inputs{
        .d_out = d_out,
        .x = x,
        .weight = given(weight),
        .saved = {.mean = given(saved.mean), .rstd = saved.rstd}};
    const NormOptions options{.epsilon = epsilon};
    return kind == NormKind::layer ? norm_backward<NormKind::layer, double>(inputs, options)
                                   : norm_backward<NormKind::rms, double>(inputs, options);
  }
};

/// Every element of an input, moved a little to either side.
void expect_differences(Problem& problem, Tensor<double>& input, const Tensor<double>& found,
                        const std::string& name) {
  constexpr double kStep = 1e-6;
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
    EXPECT_NEAR(found.values()[n], expected, 1e-5 + 1e-3 * std::abs(expected)) << name << " " << n;
  }
}

TEST(NormGradient, EqualsCentralDifferences) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem(seed);
    const LayerNormGradients<double> found = problem.gradients();
    expect_differences(problem, problem.x, found.x, "x");
    if (!problem.weight.is_null()) {
      expect_differences(problem, problem.weight, found.weight, "weight");
    }
    if (problem.kind == NormKind::layer && !problem.bias.is_null()) {
      expect_differences(problem, problem.bias, found.bias, "bias");
    }
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace attention::tests
