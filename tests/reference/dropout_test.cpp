#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/dropout.hpp>

namespace attention {
namespace {

/// The words of seed 0 and call 0 are those of the first published vector's key: see
/// core/counter_random_test.cpp. Here: which of 8 elements are kept, by the rule.
std::vector<bool> kept_of(const random::DropoutMask& mask, std::int64_t count) {
  std::vector<bool> kept;
  for (std::int64_t n = 0; n < count; ++n) {
    kept.push_back(mask.words_of_elements(n / 4)[static_cast<std::size_t>(n % 4)] >=
                   mask.threshold());
  }
  return kept;
}

TEST(ReferenceDropout, ScalesWhatIsKept) {
  const random::DropoutMask mask(0.75, 7, 1);
  Tensor<double> x({3, 11});
  for (std::size_t n = 0; n < 33; ++n) {
    x.values()[n] = static_cast<double>(n) - 16;
  }
  Tensor<double> out({3, 11});
  reference::dropout<double>(out, x, mask, 0, 33);
  const std::vector<bool> kept = kept_of(mask, 33);
  for (std::size_t n = 0; n < 33; ++n) {
    EXPECT_EQ(out.values()[n], kept[n] ? 4 * x.values()[n] : 0) << n;
  }
}

TEST(ReferenceDropout, AnyPartsMakeTheWhole) {
  const random::DropoutMask mask(0.5, 7, 2);
  const auto x = Tensor<float>::filled({2, 3, 7}, 1.5F);
  Tensor<float> whole({2, 3, 7});
  reference::dropout<float>(whole, x, mask, 0, 42);
  for (const std::int64_t step : {1, 2, 3, 5, 8, 13, 41}) {
    auto parts = Tensor<float>::filled({2, 3, 7}, -1.0F);
    for (std::int64_t begin = 0; begin < 42; begin += step) {
      reference::dropout<float>(parts, x, mask, begin, std::min<std::int64_t>(begin + step, 42));
    }
    EXPECT_TRUE(std::equal(parts.values().begin(), parts.values().end(), whole.values().begin()))
        << step;
  }
}

TEST(ReferenceDropout, CountsInRowMajorOrderWhateverTheStrides) {
  const random::DropoutMask mask(0.5, 7, 3);
  const auto x = Tensor<float>::filled({5, 9}, 1.0F);
  Tensor<float> dense({5, 9});
  Tensor<float> other({9, 5});
  reference::dropout<float>(dense, x, mask, 0, 45);
  reference::dropout<float>(other.view().transpose(0, 1).reverse(1), x, mask, 0, 45);
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 9; ++j) {
      EXPECT_EQ(other(8 - j, i), dense(i, j));
    }
  }
}

TEST(ReferenceDropout, ANumberAndWhatIsDroppedWhateverItHolds) {
  const Tensor<double> x(Shape{}, {3.0});
  Tensor<double> out((Shape()));
  reference::dropout<double>(out, x, random::DropoutMask(0, 1, 1), 0, 1);
  EXPECT_EQ(out(), 3);
  const Tensor<double> nan(Shape{}, {std::nan("")});
  reference::dropout<double>(out, nan, random::DropoutMask(1, 1, 1), 0, 1);
  EXPECT_EQ(out(), 0);
  reference::dropout<double>(out, nan, random::DropoutMask(0, 1, 1), 0, 1);
  EXPECT_TRUE(std::isnan(out()));
}

}  // namespace
}  // namespace attention
