#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/counter_random.hpp>

namespace attention::random {
namespace {

/// The published vectors: the lines "philox4x32 10" of Random123's kat_vectors.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (FourWords{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(philox({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 0xFFFFFFFFFFFFFFFF),
            (FourWords{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(philox({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, 0x299F31D0A4093822),
            (FourWords{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(DropoutMask, KeepsByTheWordAlone) {
  const DropoutMask half(0.5, 1, 2);
  EXPECT_EQ(half.threshold(), std::uint64_t{1} << 31);
  EXPECT_EQ(half.factor(), 2);
  EXPECT_TRUE(half.keeps(0x80000000));
  EXPECT_FALSE(half.keeps(0x7FFFFFFF));

  const DropoutMask rounded(0x1.8p-32, 1, 2);  // 1.5 words: rounded down
  EXPECT_EQ(rounded.threshold(), 1U);
  EXPECT_FALSE(rounded.keeps(0));
  EXPECT_TRUE(rounded.keeps(1));

  const DropoutMask rare(0x1p-33, 1, 2);
  EXPECT_FALSE(rare.drops_any());
  EXPECT_EQ(rare.factor(), 1 / (1 - 0x1p-33));
}

TEST(DropoutMask, AtItsEndsItKeepsAllAndNothing) {
  for (const DropoutMask& all : {DropoutMask(), DropoutMask(0, 3, 4)}) {
    EXPECT_FALSE(all.drops_any());
    EXPECT_TRUE(all.keeps(0));
    EXPECT_EQ(all.factor(), 1);
  }
  const DropoutMask none(1, 3, 4);
  EXPECT_TRUE(none.drops_any());
  EXPECT_FALSE(none.keeps(0xFFFFFFFF));
  EXPECT_EQ(none.factor(), 0);
  const DropoutMask nearly(1 - 0x1p-53, 3, 4);
  EXPECT_TRUE(nearly.keeps(0xFFFFFFFF));
  EXPECT_EQ(nearly.factor(), 0x1p53);
}

/// The text of the header.
TEST(DropoutMask, TheWordsOfACellAreThoseOfItsPlace) {
  constexpr std::uint64_t kSeed = 0x123456789ABCDEF0;
  constexpr std::uint64_t kCall = 0xFEDCBA9876543210;
  const DropoutMask mask(0.5, kSeed, kCall);
  const FourWords key = philox({0x76543210, 0xFEDCBA98, 0, 0}, kSeed);
  EXPECT_EQ(mask.key(), (std::uint64_t{key[1]} << 32 | key[0]));
  EXPECT_EQ(mask.words_of_elements(7), philox({7, 0, 0, 0}, mask.key()));
  EXPECT_EQ(mask.words_of_elements((std::int64_t{3} << 32) + 7), philox({7, 3, 0, 0}, mask.key()));
  for (std::int64_t j = 0; j < 40; ++j) {
    const auto quarter = static_cast<std::uint32_t>(j / 4);
    const FourWords words = philox({quarter, 5, 6, 1}, mask.key());
    EXPECT_EQ(mask.keeps_weight(6, 5, j), mask.keeps(words[static_cast<std::size_t>(j % 4)])) << j;
    constexpr std::int64_t kAround = std::int64_t{1} << 32;
    EXPECT_EQ(mask.keeps_weight(6, 5, j), mask.keeps_weight(6 + kAround, 5 + kAround, j));
  }
}

/// Bits, 1 where a cell is kept.
using Bit = std::function<bool(std::int64_t)>;

/// How many standard deviations the share of ones lies off.
double deviations(const Bit& bit, std::int64_t count, double expected) {
  std::int64_t ones = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    ones += bit(n) ? 1 : 0;
  }
  const auto all = static_cast<double>(count);
  return std::abs(static_cast<double>(ones) - all * expected) /
         std::sqrt(all * expected * (1 - expected));
}

/// Pearson's statistic of two bits' table of 2 by 2: the square of a normal number if they are
/// independent.
double chi_square(const Bit& a, const Bit& b, std::int64_t count, double kept) {
  double found[2][2] = {};
  for (std::int64_t n = 0; n < count; ++n) {
    found[a(n) ? 1 : 0][b(n) ? 1 : 0] += 1;
  }
  const double share[2] = {1 - kept, kept};
  double sum = 0;
  for (int x = 0; x < 2; ++x) {
    for (int y = 0; y < 2; ++y) {
      const double expected = static_cast<double>(count) * share[x] * share[y];
      sum += (found[x][y] - expected) * (found[x][y] - expected) / expected;
    }
  }
  return sum;  // 3 degrees of freedom, the shares being given
}

constexpr double kProbabilities[] = {0.1, 0.5, 0.9};

TEST(DropoutMask, TheShareOfKeptCellsIsTheOneAskedFor) {
  for (const double p : kProbabilities) {
    const DropoutMask mask(p, 42, 1);
    const Bit element = [&](std::int64_t n) {
      return mask.keeps(mask.words_of_elements(n / 4)[static_cast<std::size_t>(n % 4)]);
    };
    const Bit weight = [&](std::int64_t n) {
      return mask.keeps_weight(n / 4096, n / 64 % 64, n % 64);
    };
    EXPECT_LT(deviations(element, 100'000, 1 - p), 5) << p;
    EXPECT_LT(deviations(weight, 100'000, 1 - p), 5) << p;
  }
}

TEST(DropoutMask, NeighboursAreIndependent) {
  for (const double p : kProbabilities) {
    const DropoutMask mask(p, 42, 1);
    const DropoutMask next_call(p, 42, 2);
    const DropoutMask next_seed(p, 43, 1);
    const auto weights = [](const DropoutMask& of, std::int64_t head, std::int64_t i,
                            std::int64_t j) -> Bit {
      return [=, &of](std::int64_t n) {
        return of.keeps_weight(2 * (n / 4096) + head, 2 * (n / 64 % 64) + i, 2 * (n % 64) + j);
      };
    };
    const auto elements = [](const DropoutMask& of, std::int64_t shift) -> Bit {
      return [=, &of](std::int64_t n) {
        const std::int64_t at = 2 * n + shift;
        return of.keeps(of.words_of_elements(at / 4)[static_cast<std::size_t>(at % 4)]);
      };
    };
    struct Pair {
      std::string name;
      Bit a;
      Bit b;
    };
    const std::vector<Pair> pairs = {
        {"j", weights(mask, 0, 0, 0), weights(mask, 0, 0, 1)},
        {"i", weights(mask, 0, 0, 0), weights(mask, 0, 1, 0)},
        {"h", weights(mask, 0, 0, 0), weights(mask, 1, 0, 0)},
        {"call", weights(mask, 0, 0, 0), weights(next_call, 0, 0, 0)},
        {"seed", weights(mask, 0, 0, 0), weights(next_seed, 0, 0, 0)},
        {"element", elements(mask, 0), elements(mask, 1)},
        {"call of elements", elements(mask, 0), elements(next_call, 0)},
        {"elements and weights", elements(mask, 0), weights(mask, 0, 0, 0)}};
    for (const Pair& pair : pairs) {
      // A chi-square of 3 degrees of freedom exceeds 32 once in two million times.
      EXPECT_LT(chi_square(pair.a, pair.b, 50'000, 1 - p), 32) << pair.name << ", " << p;
    }
  }
}

}  // namespace
}  // namespace attention::random
