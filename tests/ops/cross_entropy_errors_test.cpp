#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/cross_entropy.hpp>

#include "harness/every_path.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using ::attention::test::message_of;

const Tensor<float>& logits() {
  static const Tensor<float> kLogits({2, 3, 5});
  return kLogits;
}
const Tensor<std::int64_t>& targets() {
  static const Tensor<std::int64_t> kTargets({2, 3});
  return kTargets;
}

TEST(CrossEntropyErrors, NameTheFirstWrongTargetAndItsPosition) {
  const Tensor<std::int32_t> wrong({2, 3}, {0, 4, -100, 1, 5, -1});
  EXPECT_EQ(message_of([&] { cross_entropy(logits(), wrong); }),
            "cross_entropy: targets must lie in [0, 5) or be -100; found 5 at (1, 1)");
  EXPECT_EQ(message_of([&] { cross_entropy(logits(), wrong, {.ignore_index = 7}); }),
            "cross_entropy: targets must lie in [0, 5) or be 7; found -100 at (0, 2)");
  const Tensor<float> lse({2, 3});
  EXPECT_EQ(
      message_of([&] { cross_entropy_backward(Tensor<float>(Shape{}), logits(), wrong, lse); }),
      "cross_entropy_backward: targets must lie in [0, 5) or be -100; found 5 at (1, 1)");
}

TEST(CrossEntropyErrors, NameTheFunctionTheRuleAndWhatWasFound) {
  const Tensor<float> scalar(Shape{});
  EXPECT_EQ(message_of([&] { cross_entropy(scalar, targets()); }),
            "cross_entropy: logits must have the shape (..., C); found logits (), targets (2, 3)");
  EXPECT_EQ(message_of([&] { cross_entropy(logits(), targets().view().select(0, 0)); }),
            "cross_entropy: targets must have the shape of logits without C; found logits (2, 3, "
            "5), targets (3,)");
  EXPECT_EQ(message_of([&] { cross_entropy(logits(), Tensor<float>({2, 3})); }),
            "cross_entropy: targets must have the element type int32 or int64; found float32");
  EXPECT_EQ(
      message_of([&] { cross_entropy(TensorView<const float>(nullptr, {2, 3, 5}), targets()); }),
      "cross_entropy: logits must be given; found a null view of shape (2, 3, 5)");
  EXPECT_EQ(
      message_of([&] { cross_entropy(logits(), TensorView<const std::int64_t>(nullptr, {2, 3})); }),
      "cross_entropy: targets must be given; found a null view of shape (2, 3)");
  for (const double s : {-0.01, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(message_of([&] { cross_entropy(logits(), targets(), {.label_smoothing = s}); }),
              "cross_entropy: label_smoothing must lie in [0, 1]; found " + std::to_string(s));
  }
  EXPECT_EQ(message_of([&] {
              cross_entropy(converted<double>(logits()), targets(),
                            {.execution = {.path = Path::fused}});
            }),
            "cross_entropy: the path must serve the element type; for float64 there are: "
            "reference; found fused");
  EXPECT_NE(message_of([&] { cross_entropy(logits(), targets(), {.execution = {.threads = -1}}); }),
            "no error");
}

TEST(CrossEntropyErrors, Outputs) {
  Tensor<float> pool({128});
  const auto at = [&](std::int64_t start, const Shape& shape) {
    return TensorView<float>(pool.data() + start, shape);
  };
  const TensorView<const float> x = at(0, {2, 3, 5});
  const auto forward = [&](TensorView<float> loss, TensorView<float> lse, Reduction reduction) {
    return message_of([&] {
      cross_entropy_into({.loss = loss, .lse = lse}, x, targets(), {.reduction = reduction});
    });
  };
  EXPECT_EQ(forward(at(40, {}), at(50, {2, 3}), Reduction::mean), "no error");
  EXPECT_EQ(forward(at(40, {2, 3}), at(50, {2, 3}), Reduction::none), "no error");
  EXPECT_EQ(forward(at(40, {}), at(50, {2, 3}), Reduction::none),
            "cross_entropy_into: loss must have the shape (2, 3); found ()");
  EXPECT_EQ(forward(at(40, {1}), at(50, {2, 3}), Reduction::sum),
            "cross_entropy_into: loss must have the shape (); found (1,)");
  EXPECT_EQ(forward({}, at(50, {2, 3}), Reduction::sum),
            "cross_entropy_into: loss must be given; found a null view of shape ()");
  EXPECT_EQ(forward(at(40, {}), at(50, {3, 2}), Reduction::sum),
            "cross_entropy_into: lse must have the shape (2, 3); found (3, 2)");
  EXPECT_EQ(forward(at(29, {}), {}, Reduction::sum),
            "cross_entropy_into: loss must not overlap logits; found views that share memory");
  EXPECT_EQ(forward(at(40, {}), at(29, {2, 3}), Reduction::sum),
            "cross_entropy_into: lse must not overlap logits; found views that share memory");
  EXPECT_EQ(forward(at(40, {2, 3}), at(45, {2, 3}), Reduction::none),
            "cross_entropy_into: lse must not overlap loss; found views that share memory");
  EXPECT_NE(
      forward({pool.data() + 40, Layout{.shape = {2, 3}, .strides = {0, 1}}}, {}, Reduction::none),
      "no error");
}

TEST(CrossEntropyErrors, TheWayBack) {
  Tensor<float> pool({128});
  const auto at = [&](std::int64_t start, const Shape& shape) {
    return TensorView<float>(pool.data() + start, shape);
  };
  const TensorView<float> x = at(0, {2, 3, 5});
  const TensorView<const float> d_loss = at(100, {});
  const TensorView<const float> lse = at(110, {2, 3});
  const auto owning = [&](TensorView<const float> d, TensorView<const float> saved) {
    return message_of([&] { cross_entropy_backward(d, x, targets(), saved); });
  };
  EXPECT_EQ(owning(d_loss, lse), "no error");
  EXPECT_EQ(owning(at(40, {2, 3}), lse),
            "cross_entropy_backward: d_loss must have the shape (); found (2, 3)");
  EXPECT_EQ(owning({}, lse),
            "cross_entropy_backward: d_loss must be given; found a null view of shape ()");
  EXPECT_EQ(owning(d_loss, at(40, {3, 2})),
            "cross_entropy_backward: lse must have the shape (2, 3); found (3, 2)");
  EXPECT_EQ(owning(d_loss, TensorView<const float>(nullptr, {2, 3})),
            "cross_entropy_backward: lse must be given; found a null view of shape (2, 3)");
  const auto into = [&](TensorView<float> d_logits) {
    return message_of([&] { cross_entropy_backward_into(d_logits, d_loss, x, targets(), lse); });
  };
  EXPECT_EQ(into(at(40, {2, 3, 5})), "no error");
  EXPECT_EQ(into(x), "no error");
  EXPECT_EQ(into(at(40, {2, 3, 4})),
            "cross_entropy_backward_into: d_logits must have the shape (2, 3, 5); found (2, 3, 4)");
  EXPECT_EQ(into(at(29, {2, 3, 5})),
            "cross_entropy_backward_into: d_logits must not overlap logits without being them; "
            "found views that share memory");
  EXPECT_EQ(into(x.reverse(2)), into(at(1, {2, 3, 5})));
  EXPECT_EQ(into(at(75, {2, 3, 5})),
            "cross_entropy_backward_into: d_logits must not overlap d_loss; found views that share "
            "memory");
  EXPECT_EQ(into(at(101, {2, 3, 5}).slice(0, 0, 2)),
            "cross_entropy_backward_into: d_logits must not overlap lse; found views that share "
            "memory");
}

}  // namespace
}  // namespace attention::tests
