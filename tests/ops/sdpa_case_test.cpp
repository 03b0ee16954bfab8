#include "harness/sdpa_case.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace attention::tests {
namespace {

/// The options of a case as small numbers.
std::map<std::string, std::int64_t> levels_of(const SdpaCase& c) {
  const auto level = [](auto value) { return static_cast<std::int64_t>(value); };
  return {{"B", c.B},
          {"heads", c.H * 100 + c.Hkv},
          {"L", c.L},
          {"S", c.S},
          {"D", c.D},
          {"Dv is D", level(c.D == c.Dv)},
          {"content", level(c.content)},
          {"causal", level(c.causal)},
          {"window", level(c.window.left >= 0) * 2 + level(c.window.right >= 0)},
          {"positions", level(c.positions)},
          {"key lengths", level(c.key_lengths.has_value())},
          {"softcap", level(c.softcap > 0)},
          {"alibi", level(c.alibi_slopes.has_value())},
          {"sinks", level(c.sinks.has_value())},
          {"scale", level(c.scale.has_value())},
          {"dropout", level(c.dropout.probability > 0)},
          {"mask", level(c.mask)},
          {"mask rank", c.mask_shape.rank()},
          {"q", level(c.q)},
          {"k", level(c.k)},
          {"v", level(c.v)},
          {"outputs", level(c.outputs)},
          {"wanted", level(c.with_lse) * 2 + level(c.with_weights)},
          {"owning", level(c.owning)},
          {"threads", c.threads}};
}

/// Where a level of one option excludes one of the other: no rank without a mask, no stride of 0
/// where single elements are special.
const std::set<std::pair<std::string, std::string>> kDependent = {
    {"mask", "mask rank"}, {"content", "q"}, {"content", "k"}, {"content", "v"}};

TEST(SdpaCases, ThreeThousandOfThemHoldEveryPairOfOptions) {
  std::vector<std::map<std::string, std::int64_t>> cases;
  std::map<std::string, std::set<std::int64_t>> levels;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    cases.push_back(levels_of(draw_case(seed, DType::float32)));
    for (const auto& [name, value] : cases.back()) {
      levels[name].insert(value);
    }
  }
  for (const auto& [first, first_levels] : levels) {
    EXPECT_GT(first_levels.size(), 1U) << first << " does not vary";
    for (const auto& [second, second_levels] : levels) {
      std::set<std::pair<std::int64_t, std::int64_t>> seen;
      for (const auto& c : cases) {
        seen.insert({c.at(first), c.at(second)});
      }
      if (first < second && !kDependent.contains({first, second})) {
        EXPECT_EQ(seen.size(), first_levels.size() * second_levels.size())
            << first << " and " << second;
      }
    }
  }
}

TEST(SdpaCases, AreWhollyGivenByTheirSeed) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(describe(draw_case(seed, DType::float16)), describe(draw_case(seed, DType::float16)));
    EXPECT_NE(describe(draw_case(seed, DType::float16)),
              describe(draw_case(seed + 1, DType::float16)));
  }
}

}  // namespace
}  // namespace attention::tests
