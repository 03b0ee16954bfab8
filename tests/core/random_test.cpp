#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>

/// The values that PyTorch gives are in tests/golden; here are the properties.
namespace attention::random {
namespace {

TEST(Generator, ReducesSeedsToTheirLow32Bits) {
  Generator a(42);
  Generator b((std::uint64_t{7} << 32) + 42);
  Generator c(43);
  const std::uint32_t first = a.next_u32();
  EXPECT_EQ(first, b.next_u32());
  EXPECT_NE(first, c.next_u32());
  EXPECT_EQ(Generator(static_cast<std::uint64_t>(-1)).next_u32(),
            Generator(0xFFFFFFFFU).next_u32());
}

TEST(Generator, SeedingAgainForgetsTheSpareNormalDraw) {
  Generator generator(1);
  const double first = generator.next_normal();
  generator.manual_seed(1);
  EXPECT_EQ(generator.next_normal(), first);
}

TEST(Generator, TakesTheUpperHalfFirst) {
  Generator a(9);
  Generator b(9);
  const std::uint64_t upper = b.next_u32();
  EXPECT_EQ(a.next_u64(), (upper << 32) | b.next_u32());
}

TEST(Generator, ManualSeedTouchesTheDefaultGeneratorOnly) {
  Generator own(5);
  manual_seed(5);
  EXPECT_EQ(default_generator().initial_seed(), 5U);
  const std::uint32_t first = default_generator().next_u32();
  EXPECT_EQ(own.next_u32(), first);
}

TEST(Uniform, StaysInTheIntervalAndFillsViewsInRowMajorOrder) {
  Generator generator(3);
  Tensor<float> dense({3, 4});
  uniform(dense, -0.5, 0.25, generator);
  for (const float value : dense.values()) {
    EXPECT_GE(value, -0.5F);
    EXPECT_LE(value, 0.25F);
  }
  Tensor<float> column_major({4, 3});
  generator.manual_seed(3);
  uniform(column_major.view().transpose(0, 1), -0.5, 0.25, generator);
  EXPECT_EQ(column_major(3, 1), dense(1, 3));
  EXPECT_EQ(column_major(0, 2), dense(2, 0));
}

TEST(Uniform, RefusesAnImpossibleInterval) {
  Generator generator;
  Tensor<float> out({1});
  EXPECT_THROW(uniform(out, 1.0, 0.0, generator), Error);
  EXPECT_THROW(uniform(out, 0.0, std::numeric_limits<double>::infinity(), generator), Error);
  EXPECT_THROW(uniform(out, -3e38, 3e38, generator), Error);  // the width overflows float
  EXPECT_THROW(uniform(out, std::nan(""), 1.0, generator), Error);
}

TEST(Normal, HasTheMomentsItIsAskedFor) {
  Generator generator(17);
  Tensor<double> draws({40'000});
  normal(draws, 1.5, 2.0, generator);
  double mean = 0;
  double square = 0;
  for (const double value : draws.values()) {
    mean += value / 40'000;
    square += value * value / 40'000;
  }
  EXPECT_NEAR(mean, 1.5, 0.05);
  EXPECT_NEAR(std::sqrt(square - mean * mean), 2.0, 0.05);
}

TEST(Normal, RefusesANegativeDeviation) {
  Generator generator;
  Tensor<float> out({1});
  EXPECT_THROW(normal(out, 0.0, -1.0, generator), Error);
}

}  // namespace
}  // namespace attention::random
