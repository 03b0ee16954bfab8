#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/ops/linear_backward.hpp>

#include "harness/every_path.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

template <class T>
class LinearBackwardErrors : public ::testing::Test {
 protected:
  Tensor<T> d_out_ = random_tensor<T>({2, 5}, 1);
  Tensor<T> x_ = random_tensor<T>({2, 3}, 2);
  Tensor<T> weight_ = random_tensor<T>({5, 3}, 3);
  const Tensor<T> untouched_ = random_tensor<T>({64}, 4);
  Tensor<T> pool_ = untouched_;
  std::vector<std::byte> workspace_ = std::vector<std::byte>(1 << 21);

  TensorView<T> at(std::int64_t start, const Shape& shape) { return {pool_.data() + start, shape}; }
  std::string message_of_into(const LinearBackwardOutputs<T>& outputs) {
    const std::string message = test::message_of([&] {
      linear_backward_into(outputs, d_out_, x_, weight_, {.execution = {.threads = 2}}, workspace_);
    });
    EXPECT_TRUE(message == "no error" || same_bits(pool_, untouched_)) << message;
    return message;
  }
};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LinearBackwardErrors, Types);

TYPED_TEST(LinearBackwardErrors, Inputs) {
  using T = TypeParam;
  const auto both = [&](TensorView<const T> d_out, TensorView<const T> x,
                        TensorView<const T> weight, const std::vector<std::string>& parts) {
    const std::string message = test::message_of([&] { linear_backward(d_out, x, weight); });
    EXPECT_THAT(message, StartsWith("linear_backward: "));
    const std::string into = test::message_of([&] {
      linear_backward_into({.x = this->at(0, {2, 3})}, d_out, x, weight, {}, this->workspace_);
    });
    EXPECT_THAT(into, StartsWith("linear_backward_into: "));
    for (const std::string& part : parts) {
      EXPECT_THAT(message, HasSubstr(part));
      EXPECT_THAT(into, HasSubstr(part));
    }
    EXPECT_TRUE(same_bits(this->pool_, this->untouched_));
  };
  const auto nowhere = [](const Shape& shape) { return TensorView<T>(nullptr, shape); };
  const Tensor<T>& d_out = this->d_out_;
  const Tensor<T>& x = this->x_;
  const Tensor<T>& weight = this->weight_;
  both(d_out, Tensor<T>(Shape{}), weight, {"x must have the shape (..., I)", "x ()"});
  both(d_out, {}, weight, {"x must have the shape (..., I)"});
  both(d_out, x, Tensor<T>({3}), {"weight must have the shape (O, I)", "weight (3,)"});
  both(d_out, x, {}, {"weight must have the shape (O, I)"});
  both(d_out, Tensor<T>({2, 4}), weight, {"input features I", "x (2, 4)", "weight (5, 3)"});
  both(Tensor<T>({2, 4}), x, weight, {"d_out must have the shape (..., O)", "d_out (2, 4)"});
  both(Tensor<T>({3, 5}), x, weight, {"d_out must have the shape (..., O)", "d_out (3, 5)"});
  both(Tensor<T>({5}), x, weight, {"d_out must have the shape (..., O)", "d_out (5,)"});
  both({}, x, weight, {"d_out must have the shape (..., O)", "d_out ()"});
  both(nowhere({2, 5}), x, weight, {"d_out must be given"});
  both(d_out, nowhere({2, 3}), weight, {"x must be given"});
  both(d_out, x, nowhere({5, 3}), {"weight must be given"});
}

TYPED_TEST(LinearBackwardErrors, Outputs) {
  using T = TypeParam;
  const auto strided = [&](const Shape& shape, const Strides& strides) {
    return TensorView<T>(this->pool_.data(), Layout{.shape = shape, .strides = strides});
  };
  const auto message = [&](const LinearBackwardOutputs<T>& outputs) {
    return this->message_of_into(outputs);
  };
  EXPECT_THAT(message({.x = this->at(0, {3, 2})}),
              AllOf(HasSubstr("outputs.x must have the shape (2, 3)"), HasSubstr("(3, 2)")));
  EXPECT_THAT(message({.weight = this->at(0, {3, 5})}),
              AllOf(HasSubstr("outputs.weight must have the shape (5, 3)"), HasSubstr("(3, 5)")));
  EXPECT_THAT(message({.bias = this->at(0, {3})}),
              AllOf(HasSubstr("outputs.bias must have the shape (5,)"), HasSubstr("(3,)")));
  EXPECT_THAT(message({.x = {nullptr, Shape{2, 3}}}), HasSubstr("outputs.x must be given"));
  EXPECT_THAT(message({.x = strided({2, 3}, {0, 1})}),
              HasSubstr("outputs.x must not overlap itself"));
  EXPECT_THAT(message({.weight = strided({5, 3}, {2, 1})}),
              HasSubstr("outputs.weight must not overlap itself"));
  EXPECT_THAT(message({.bias = strided({5}, {0})}),
              HasSubstr("outputs.bias must not overlap itself"));
  EXPECT_THAT(message({.x = this->at(0, {2, 3}), .weight = this->at(5, {5, 3})}),
              HasSubstr("must not overlap an input or another output"));
  EXPECT_THAT(message({.weight = this->at(5, {5, 3}), .bias = this->at(19, {5})}),
              HasSubstr("must not overlap an input or another output"));
  EXPECT_EQ(
      message({.x = this->at(0, {2, 3}), .weight = this->at(6, {5, 3}), .bias = this->at(21, {5})}),
      "no error");
}

TYPED_TEST(LinearBackwardErrors, OutputsThatOverlapInputs) {
  using T = TypeParam;
  const auto message = [&](const LinearBackwardOutputs<T>& outputs) {
    return this->message_of_into(outputs);
  };
  EXPECT_THAT(message({.x = this->x_}), HasSubstr("outputs.x must not overlap"));
  EXPECT_THAT(message({.weight = this->weight_}), HasSubstr("outputs.weight must not overlap"));
  EXPECT_THAT(message({.bias = this->d_out_.view().select(0, 1)}),
              HasSubstr("outputs.bias must not overlap"));
}

TYPED_TEST(LinearBackwardErrors, WorkspacesAndPaths) {
  using T = TypeParam;
  const Execution execution{.threads = 2};
  const std::size_t needed = linear_backward_workspace_size(3, kDTypeOf<T>, execution);
  if (needed > 0) {
    std::vector<std::byte> less(needed - 1);
    EXPECT_THAT(test::message_of([&] {
                  linear_backward_into({.x = this->at(0, {2, 3})}, this->d_out_, this->x_,
                                       this->weight_, {.execution = execution}, less);
                }),
                AllOf(StartsWith("linear_backward_into: workspace"),
                      HasSubstr(std::to_string(needed)), HasSubstr(std::to_string(needed - 1))));
  }
  EXPECT_THROW(
      linear_backward(this->d_out_, this->x_, this->weight_, {.execution = {.threads = -1}}),
      Error);
}

TEST(LinearBackwardSizeErrors, EachByItsMessage) {
  const Tensor<double> x({2, 3});
  const Tensor<double> weight({5, 3});
  EXPECT_THAT(test::message_of([&] {
                linear_backward(Tensor<double>({2, 5}), x, weight,
                                {.execution = {.path = Path::fused}});
              }),
              AllOf(HasSubstr("fused"), HasSubstr("float64")));
  const auto size = [](std::int64_t in_features, DType dtype, const Execution& execution = {}) {
    return test::message_of([&] { linear_backward_workspace_size(in_features, dtype, execution); });
  };
  EXPECT_THAT(size(-1, DType::float32), AllOf(HasSubstr("in_features"), HasSubstr("-1")));
  EXPECT_THAT(size(3, DType::int32), AllOf(HasSubstr("dtype"), HasSubstr("int32")));
  EXPECT_THAT(size(3, DType::bfloat16), AllOf(HasSubstr("dtype"), HasSubstr("bfloat16")));
  EXPECT_THAT(size(3, DType::float64, {.path = Path::fused}), HasSubstr("float64"));
  EXPECT_NE(size(3, DType::float32, {.threads = -1}), "no error");
}

}  // namespace
}  // namespace attention::tests
