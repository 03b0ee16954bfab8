#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/autograd/functions.hpp>
#include <attention/autograd/variable.hpp>

#include "../support/message_of.hpp"
#include "drawn.hpp"

namespace attention::test {
namespace {

using autograd::backward;
using autograd::NoGrad;
using autograd::Variable;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<double> values_of(TensorView<const double> view) {
  const Tensor<double> dense = Tensor<double>::copy_of(view);
  return {dense.values().begin(), dense.values().end()};
}

Variable<double> parameter(const Shape& shape, std::initializer_list<double> values) {
  return Variable<double>::parameter(Tensor<double>(shape, values));
}

TEST(Backward, GoesThroughAChain) {
  const auto a = parameter({2}, {2, 3});
  const auto b = parameter({2}, {5, 7});
  backward(autograd::sum_to(autograd::multiply(a, b), {}));
  EXPECT_THAT(values_of(a.grad()), ElementsAre(5, 7));
  EXPECT_THAT(values_of(b.grad()), ElementsAre(2, 3));
}

TEST(Backward, AddsUpSeveralUsesAndSeveralCalls) {
  const auto a = parameter({2}, {2, 3});
  const auto loss = [&] {
    // a a + 4 a: the gradient is 2 a + 4
    return autograd::sum_to(autograd::add(autograd::multiply(a, a), autograd::scale(a, 4.0)), {});
  };
  backward(loss());
  EXPECT_THAT(values_of(a.grad()), ElementsAre(8, 10));
  backward(loss());
  EXPECT_THAT(values_of(a.grad()), ElementsAre(16, 20));
  a.clear_grad();
  EXPECT_TRUE(a.grad().is_null());
}

TEST(Backward, TakesAGradientOfWhatFollows) {
  const auto a = parameter({2}, {2, 3});
  const Tensor<double> d_out({2}, {10, 100});
  backward<double>(autograd::multiply(a, a), d_out);
  EXPECT_THAT(values_of(a.grad()), ElementsAre(40, 600));
}

TEST(Backward, LeavesConstantsAlone) {
  const auto a = parameter({1}, {2});
  const Variable<double> data(Tensor<double>({1}, {5}));
  backward(autograd::multiply(a, data));
  EXPECT_TRUE(data.grad().is_null());
  EXPECT_FALSE(data.requires_grad());
  EXPECT_THAT(values_of(a.grad()), ElementsAre(5));
}

TEST(Backward, OfAViewIsOfWhatItShows) {
  const auto a = parameter({2, 3}, {1, 2, 3, 4, 5, 6});
  const Variable<double> row = a.slice(0, 1, 1).select(0, 0);
  const Variable<double> column = a.transpose(0, 1).select(0, 2);
  backward(autograd::sum_to(autograd::multiply(row, row), {}));
  EXPECT_THAT(values_of(a.grad()), ElementsAre(0, 0, 0, 8, 10, 12));
  EXPECT_THAT(values_of(row.grad()), ElementsAre(8, 10, 12));
  backward(autograd::sum_to(column, {}));
  EXPECT_THAT(values_of(a.grad()), ElementsAre(0, 0, 1, 8, 10, 13));
}

TEST(Backward, OfAResultAndItsViewsTogether) {
  const auto a = parameter({4}, {1, 2, 3, 4});
  const Variable<double> doubled = autograd::scale(a, 2.0);
  const Variable<double> square = doubled.split(0, 2).transpose(0, 1);
  const Variable<double> both = autograd::add(autograd::sum_to(square.select(0, 1), {}),
                                              autograd::sum_to(doubled.slice(0, 0, 2), {}));
  backward(both);
  EXPECT_THAT(values_of(a.grad()), ElementsAre(2, 4, 0, 2));
}

TEST(Backward, OfAnEmptyTensor) {
  const auto a = Variable<double>::parameter(Tensor<double>({0, 3}));
  backward(autograd::sum_to(autograd::scale(a, 2.0), {}));
  EXPECT_EQ(a.grad().shape(), (Shape{0, 3}));
}

TEST(Backward, OfALongChainNeedsNoDeepStack) {
  const auto a = parameter({1}, {1});
  Variable<double> x = a;
  for (int n = 0; n < 200000; ++n) {
    x = autograd::scale(x, 1.0);
  }
  const Variable<double> kept = x.detached();
  backward(x);
  EXPECT_THAT(values_of(a.grad()), ElementsAre(1));
  Variable<double> forgotten = a;
  for (int n = 0; n < 200000; ++n) {
    forgotten = autograd::scale(forgotten, 1.0);
  }
}

TEST(Backward, TwiceIsAnError) {
  const auto a = parameter({1}, {2});
  const Variable<double> square = autograd::multiply(a, a);
  const Variable<double> loss = autograd::scale(square, 3.0);
  const Variable<double> other = autograd::scale(square, 5.0);
  backward(loss);
  EXPECT_THAT(message_of([&] { backward(loss); }),
              HasSubstr("backward must be called once for a computation; found a second call "
                        "through scale"));
  EXPECT_THAT(message_of([&] { backward(other); }), HasSubstr("a second call through multiply"));
  EXPECT_THAT(values_of(a.grad()), ElementsAre(12));
}

TEST(Backward, SaysWhatIsWrong) {
  const auto a = parameter({2}, {2, 3});
  const Variable<double> two = autograd::scale(a, 2.0);
  EXPECT_THAT(message_of([&] { backward(two); }),
              HasSubstr("loss must have one element unless d_loss is given; found loss (2,)"));
  const Tensor<double> wrong({3});
  EXPECT_THAT(message_of([&] { backward<double>(two, wrong); }),
              HasSubstr("d_loss (3,), loss (2,)"));
  EXPECT_THAT(message_of([&] { backward(Variable<double>()); }), HasSubstr("loss must be given"));
  EXPECT_THAT(message_of([&] { backward(Variable<double>(Tensor<double>({1}))); }),
              HasSubstr("loss must depend on a parameter"));
}

TEST(NoGrad, RecordsNothingAndEndsWithItsScope) {
  const auto a = parameter({1}, {2});
  {
    const NoGrad guard;
    {
      const NoGrad inner;
    }
    EXPECT_FALSE(autograd::is_recording());
    EXPECT_FALSE(autograd::multiply(a, a).requires_grad());
  }
  EXPECT_TRUE(autograd::is_recording());
  EXPECT_TRUE(autograd::multiply(a, a).requires_grad());
}

TEST(Variable, IsAHandle) {
  const auto a = parameter({2}, {1, 2});
  const std::vector<Variable<double>> same = {a};
  same[0].mutable_value()(0) = 7;
  EXPECT_EQ(a.value()(0), 7);
  EXPECT_TRUE(Variable<double>().is_null());
  EXPECT_TRUE(Variable<double>().value().is_null());
  EXPECT_FALSE(a.detached().requires_grad());
  EXPECT_EQ(a.detached().value().data(), a.value().data());
}

TEST(Variable, LetsOnlyParametersBeChanged) {
  const auto a = parameter({2}, {1, 2});
  EXPECT_EQ(a.slice(0, 1, 1).mutable_value().data(), a.value().data() + 1);
  EXPECT_THAT(message_of([&] { autograd::scale(a, 2.0).mutable_value(); }),
              HasSubstr("the variable must be a parameter; found scale"));
  EXPECT_THAT(message_of([&] { Variable<double>(Tensor<double>({1})).mutable_value(); }),
              HasSubstr("found a constant"));
  EXPECT_THAT(message_of([&] { Variable<double>().shape(); }), HasSubstr("must be given"));
}

}  // namespace
}  // namespace attention::test
