#include "cli/suggest.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace attention::cli {
namespace {

const std::vector<std::string> kNames = {"pattern", "fibonacci", "sequential",
                                         "uniform", "focused",   "all"};

TEST(Nearest, FindsWhatWasMeant) {
  EXPECT_EQ(nearest("patern", kNames), "pattern");
  EXPECT_EQ(nearest("fibonaci", kNames), "fibonacci");
  EXPECT_EQ(nearest("sequnetial", kNames), "sequential");
  EXPECT_EQ(nearest("fibo", kNames), "fibonacci");
}

TEST(Nearest, DoesNotGuessWildly) {
  EXPECT_EQ(nearest("banana", kNames), "");
  EXPECT_EQ(nearest("", kNames), "");
  EXPECT_EQ(suggestion("zzz", kNames), "");
  EXPECT_EQ(suggestion("unform", kNames), " (did you mean 'uniform'?)");
}

}  // namespace
}  // namespace attention::cli
