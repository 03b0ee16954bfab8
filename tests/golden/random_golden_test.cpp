#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>

#include "tests/golden/goldens.hpp"

namespace attention::random {
namespace {

using goldens::values;

/// How many numbers of T lie between a and b; large where they differ in sign.
template <class T>
double ulps(T a, T b) {
  const T unit = std::nextafter(std::abs(b), std::numeric_limits<T>::infinity()) - std::abs(b);
  return static_cast<double>(std::abs(a - b) / unit);
}

template <class T>
void expect_uniform_bits(const std::string& type, double low, double high) {
  for (const char* seed : {"0", "42", "-1", "4294967338", "9223372036854775808"}) {
    const auto expected = values<T>("uniform." + std::string(seed) + "." + type);
    // As torch reduces them: negative seeds wrap around.
    Generator generator(seed[0] == '-' ? static_cast<std::uint64_t>(std::stoll(seed))
                                       : std::stoull(seed));
    Tensor<T> drawn(expected.shape());
    uniform(drawn, low, high, generator);
    EXPECT_THAT(drawn.values(), testing::ElementsAreArray(expected.values())) << "seed " << seed;
  }
}

TEST(UniformGolden, Float32BitForBit) {
  expect_uniform_bits<float>("float32", -0.3, 0.7123);
}

TEST(UniformGolden, Float64BitForBit) {
  expect_uniform_bits<double>("float64", -0.123, 0.777);
}

template <class T>
void expect_normal_within_4_ulp(const std::string& type) {
  for (const char* count : {"1", "2", "7", "15", "16", "17", "40", "100"}) {
    const auto expected = values<T>("normal." + std::string(count) + "." + type);
    Generator generator(3);
    Tensor<T> drawn(expected.shape());
    normal(drawn, 0.5, 2.0, generator);
    for (std::int64_t i = 0; i < drawn.element_count(); ++i) {
      // The mean is added last and can cancel: an ulp is counted at the size of the draw before
      // that.
      const T before_mean = std::abs(expected(i) - T{0.5});
      const T scale = std::max(std::abs(expected(i)), before_mean);
      EXPECT_LE(ulps<T>(scale + (drawn(i) - expected(i)), scale), 4.0)
          << count << " draws, number " << i;
    }
  }
}

TEST(NormalGolden, Float32Within4Ulp) {
  expect_normal_within_4_ulp<float>("float32");
}

TEST(NormalGolden, Float64Within4Ulp) {
  expect_normal_within_4_ulp<double>("float64");
}

TEST(MixedGolden, OneStreamServesAllKindsOfDraws) {
  const auto expected = values<float>("mixed");
  Generator generator(5);
  Tensor<float> drawn({29});
  const TensorView<float> all = drawn.view();
  normal(all.slice(0, 0, 3), 0.0, 1.0, generator);
  uniform(all.slice(0, 3, 4), 0.0, 1.0, generator);
  normal(all.slice(0, 7, 20), 0.0, 1.0, generator);
  normal(all.slice(0, 27, 2), 0.0, 1.0, generator);
  for (std::int64_t i = 0; i < 29; ++i) {
    EXPECT_LE(ulps(drawn(i), expected(i)), 4.0) << i;
  }
}

}  // namespace
}  // namespace attention::random
