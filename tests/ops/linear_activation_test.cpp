#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/linear.hpp>
#include <attention/reference/activation.hpp>

#include "harness/every_path.hpp"
#include "harness/half_unit.hpp"
#include "harness/sdpa_operands.hpp"

namespace attention::tests {
namespace {

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::gelu,
                                       Activation::gelu_tanh, Activation::silu};

template <class Setting>
class LinearActivation : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static LinearOptions options(Activation activation) {
    return {.activation = activation, .execution = {.path = Setting::kPath, .threads = 1}};
  }
};
TYPED_TEST_SUITE(LinearActivation, EveryPath, PathNames);

TYPED_TEST(LinearActivation, FollowsTheDefinitionEverywhere) {
  using T = typename TypeParam::Element;
  std::vector<T> numbers;
  for (int n = -4000; n <= 4000; ++n) {
    numbers.push_back(element_cast<T>(n / 200.0));
  }
  for (const double x : {0x1p-14, -0x1p-14, 100.0, -100.0, 3e4, -3e4}) {
    numbers.push_back(element_cast<T>(x));
  }
  const auto count = static_cast<std::int64_t>(numbers.size());
  const Tensor<T> x({count, 1}, numbers);
  const Tensor<T> one({1, 1}, {element_cast<T>(1.0)});
  // What float arithmetic costs: see ops/linear.hpp.
  const double arithmetic =
      sizeof(T) == sizeof(double) || TypeParam::kPath == Path::reference ? 0.0 : 4e-7;
  for (const Activation activation : kActivations) {
    const Tensor<T> found = linear(x, one, {}, this->options(activation));
    for (std::int64_t n = 0; n < count; ++n) {
      const auto at = element_cast<double>(x(n, 0));
      const double expected = reference::activated(activation, at);
      const double bar = half_unit_of(kDTypeOf<T>) * std::abs(expected) * 1.0001 +
                         arithmetic * std::abs(at) +
                         (sizeof(T) == 2   ? 0x1p-25
                          : sizeof(T) == 4 ? 0x1p-149
                                           : 0.0);
      ASSERT_NEAR(element_cast<double>(found(n, 0)), expected, bar)
          << name_of(activation) << " of " << at;
    }
  }
}

TYPED_TEST(LinearActivation, ComesAfterTheBiasInEveryTile) {
  using T = typename TypeParam::Element;
  for (const std::int64_t rows : {1, 17, 65}) {
    for (const std::int64_t outputs : {1, 19, 97}) {
      const auto x = random_tensor<T>({rows, 5}, 1);
      const auto weight = random_tensor<T>({outputs, 5}, 2);
      const auto bias = random_tensor<T>({outputs}, 3);
      const Tensor<T> plain = linear(x, weight, bias, this->options(Activation::none));
      const Tensor<T> relu = linear(x, weight, bias, this->options(Activation::relu));
      for (std::int64_t n = 0; n < rows; ++n) {
        for (std::int64_t o = 0; o < outputs; ++o) {
          const auto before = element_cast<double>(plain(n, o));
          ASSERT_EQ(element_cast<double>(relu(n, o)), before > 0 ? before : 0.0) << n << ", " << o;
        }
      }
    }
  }
}

TYPED_TEST(LinearActivation, NanStaysAndInfinityIsItsOwn) {
  using T = typename TypeParam::Element;
  const auto at = [](double value) { return element_cast<T>(value); };
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor<T> x({3, 1}, {at(std::numeric_limits<double>::quiet_NaN()), at(infinity), at(1.0)});
  const Tensor<T> one({1, 1}, {at(1.0)});
  for (const Activation activation : kActivations) {
    SCOPED_TRACE(name_of(activation));
    const Tensor<T> found = linear(x, one, {}, this->options(activation));
    EXPECT_TRUE(std::isnan(element_cast<double>(found(0, 0))));
    EXPECT_EQ(element_cast<double>(found(1, 0)), infinity);
    EXPECT_TRUE(std::isfinite(element_cast<double>(found(2, 0))));
  }
}

}  // namespace
}  // namespace attention::tests
