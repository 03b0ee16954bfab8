#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/autograd/detail/node.hpp>
#include <attention/autograd/functions.hpp>
#include <attention/autograd/gradcheck.hpp>

#include "../support/message_of.hpp"
#include "drawn.hpp"

namespace attention::test {
namespace {

using autograd::gradcheck;
using autograd::GradcheckResult;
using autograd::Variable;
using testing::HasSubstr;

/// Twice x, whose way back forgets the factor for element `wrong`.
Variable<double> doubled_wrongly(const Variable<double>& x, std::int64_t wrong) {
  Tensor<double> out = Tensor<double>::copy_of(x.value());
  for (double& value : out.values()) {
    value *= 2;
  }
  return autograd::detail::record<double>(
      "doubled", std::move(out), {x},
      [x, wrong](TensorView<const double> d_out, TensorView<const double> /*out*/) {
        Tensor<double> d_x = Tensor<double>::copy_of(d_out);
        for (std::int64_t n = 0; n < d_x.element_count(); ++n) {
          d_x.data()[n] *= n == wrong ? 1 : 2;
        }
        autograd::detail::receive(x, std::move(d_x));
      });
}

TEST(Gradcheck, FindsTheElementThatIsWrong) {
  const std::vector<Tensor<double>> inputs = {drawn({3}, 1), drawn({2, 5}, 2)};
  const GradcheckResult result = gradcheck(
      [](std::span<const Variable<double>> x) { return doubled_wrongly(x[1], 7); }, inputs);
  EXPECT_FALSE(result.agrees);
  EXPECT_EQ(result.input, 1);
  EXPECT_EQ(result.element, 7);
  EXPECT_NEAR(result.found, result.expected / 2, 1e-6);
  EXPECT_THAT(result.to_string(), HasSubstr("input 1, element 7: backward gives "));
}

TEST(Gradcheck, AgreesWhereBackwardIsRight) {
  const std::vector<Tensor<double>> inputs = {drawn({2, 5}, 2)};
  const GradcheckResult result = gradcheck(
      [](std::span<const Variable<double>> x) { return doubled_wrongly(x[0], -1); }, inputs);
  EXPECT_TRUE(result.agrees) << result.to_string();
  EXPECT_EQ(result.checked, 10);
}

TEST(Gradcheck, FindsAGradientThatIsNotANumber) {
  const std::vector<Tensor<double>> inputs = {Tensor<double>({1}, {1})};
  const GradcheckResult result = gradcheck(
      [](std::span<const Variable<double>> x) {
        return autograd::detail::record<double>(
            "nan", Tensor<double>({1}, {1}), {x[0]},
            [x = x[0]](TensorView<const double>, TensorView<const double>) {
              autograd::detail::receive(x, Tensor<double>({1}, {std::nan("")}));
            });
      },
      inputs);
  EXPECT_FALSE(result.agrees);
}

TEST(Gradcheck, MovesParametersAndPutsThemBack) {
  const auto weight = Variable<double>::parameter(drawn({3, 4}, 5));
  const Tensor<double> before = Tensor<double>::copy_of(weight.value());
  const Variable<double> x(drawn({2, 4}, 6));
  const std::vector<Variable<double>> parameters = {weight.slice(0, 1, 2), weight.transpose(0, 1)};
  const GradcheckResult result =
      gradcheck([&] { return autograd::linear(x, weight); }, parameters, {.elements = 6});
  EXPECT_TRUE(result.agrees) << result.to_string();
  EXPECT_EQ(result.checked, 12);
  EXPECT_TRUE(
      std::ranges::equal(before.values(), Tensor<double>::copy_of(weight.value()).values()));
}

TEST(Gradcheck, SaysWhatIsWrong) {
  const std::vector<Tensor<double>> inputs = {drawn({3}, 1)};
  const auto same = [](std::span<const Variable<double>> x) { return x[0]; };
  EXPECT_THAT(message_of([&] { gradcheck(same, std::span<const Tensor<double>>()); }),
              HasSubstr("there must be an input or a parameter"));
  EXPECT_THAT(message_of([&] { gradcheck(same, inputs, {.epsilon = 0}); }),
              HasSubstr("epsilon must be positive"));
  int calls = 0;
  const auto changing = [&](std::span<const Variable<double>> x) {
    return ++calls == 1 ? x[0] : x[0].slice(0, 0, 2);
  };
  EXPECT_THAT(message_of([&] { gradcheck(changing, inputs); }),
              HasSubstr("the result must have the same shape each time; found (3,) and then (2,)"));
}

}  // namespace
}  // namespace attention::test
