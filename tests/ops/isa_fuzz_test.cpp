#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/kernel_isas.hpp>
#include <attention/ops/sdpa.hpp>

#include "harness/every_isa.hpp"
#include "harness/float64_sdpa.hpp"
#include "harness/sdpa_case.hpp"
#include "harness/sdpa_judges.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/sdpa_runs.hpp"

/// The instruction sets against each other and against float64, on drawn problems, for as long as
/// one likes:
///
///   ops_isa_fuzz --seconds 600             from a seed that differs from run to run
///   ops_isa_fuzz --seed 123 --seconds 0    the problem of that seed, as a failure prints it
///
/// Run by ctest without arguments: five seconds, from a fixed seed.
namespace attention::tests {
namespace {

struct Settings {
  std::uint64_t seed = 20170612;
  double seconds = 5;
};
Settings settings;

/// From here on the rounding of a score may decide which key a row is about.
constexpr double kLargeTerm = 1e4;

/// The bar of the conformance grid, twice the error of the naive algorithm, fails by chance about
/// once in ten thousand problems: where scores are large, the naive error of one small problem may
/// be far below what float32 promises. What it promises does not depend on chance: a score is off
/// by a few eps relative to the terms that it is added up from, a weight by that much relative to
/// itself, and out by that much times the largest value. Eight such errors are allowed besides.
/// (For scores beyond all measure they would allow anything, and there rows are one-hot.)
Allowance allowance(const Truth& truth) {
  double term = truth.largest_term < kLargeTerm ? truth.largest_term : 0;
  // (A capped infinity is a large score without a finite term.)
  for (const double lse : truth.results.lse) {
    term = std::abs(lse) < kLargeTerm ? std::max(term, std::abs(lse)) : term;
  }
  const double of_scores = 8 * 0x1p-23 * (1 + term);
  return {.of_out = of_scores * truth.largest_value, .of_scores = of_scores};
}

/// Where weights are rounded to bfloat16, also what that may do to them, half a unit each: if a
/// row's scores are all equal, so are the roundings.
Allowance allowance(const Truth& truth, DType dtype, Isa isa) {
  Allowance result = allowance(truth);
  if (dtype == DType::bfloat16 && isa == Isa::avx512_bf16) {
    result.of_out += 0x1p-9 * truth.largest_value;
  }
  return result;
}

/// What two instruction sets give differs by no more than each may differ from float64, and what is
/// finite for one is finite for the other.
std::string judge_pair(const SdpaCase& c, const Truth& truth, const Results& a, const Results& b) {
  if (truth.largest_term >= kLargeTerm) {
    return {};  // both were judged; two near ties may have fallen to different keys
  }
  const Allowance most = allowance(truth);
  const double rounding = c.dtype == DType::float32   ? 0x1p-22
                          : c.dtype == DType::float16 ? 0x1p-9
                                                      : 0x1p-6;
  const auto judge = [&](const char* name, std::span<const double> found,
                         std::span<const double> other, double slack, std::int64_t row_size) {
    return judge_by_naive({.name = name,
                           .found = found,
                           .truth = other,
                           .row_size = static_cast<std::size_t>(row_size)},
                          other, slack);
  };
  return judge("out", a.out, b.out, most.of_out + rounding * truth.largest_value + 0x1p-24, c.Dv) +
         judge("lse", a.lse, b.lse, most.of_scores, 1) +
         judge("weights", a.weights, b.weights, most.of_scores, c.S);
}

template <class T>
void check(const SdpaCase& c) {
  const ::testing::ScopedTrace trace(__FILE__, __LINE__, describe(c));
  SdpaOperands<T> operands(c);
  const DenseProblem& p = operands.dense();
  const Truth truth = float64_sdpa(p);
  std::vector<Results> found;
  for (const Isa isa : kernel_isas()) {
    SCOPED_TRACE(name_of(isa));
    const Taken way = {.path = Path::fused, .isa = isa};
    const Run run = run_case(operands, way);
    EXPECT_EQ(run.taken, way);
    EXPECT_EQ(judge_blocked_cells(p, truth, run.results), "");
    EXPECT_EQ(judge_fused<T>(p, truth, run.results, allowance(truth, c.dtype, isa)), "");
    for (std::size_t other = 0; other < found.size(); ++other) {
      EXPECT_EQ(judge_pair(c, truth, run.results, found[other]), "")
          << "against " << name_of(kernel_isas()[other]);
    }
    found.push_back(run.results);
  }
}

TEST(IsaFuzz, EveryInstructionSetGivesTheSameWithinTheBar) {
  constexpr DType kDTypes[] = {DType::float32, DType::float16, DType::bfloat16};
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(settings.seconds);
  std::uint64_t seed = settings.seed;
  do {
    const DType dtype = kDTypes[seed % 3];
    visit_fused_dtype(dtype, [&]<class T>() { check<T>(draw_wide_case(seed, dtype)); });
    if (HasFailure()) {
      std::printf("failed with --seed %llu\n", static_cast<unsigned long long>(seed));
    }
    ++seed;
  } while (!HasFailure() && std::chrono::steady_clock::now() < end);
  std::printf(
      "%llu problems from seed %llu on, on:", static_cast<unsigned long long>(seed - settings.seed),
      static_cast<unsigned long long>(settings.seed));
  for (const Isa isa : kernel_isas()) {
    std::printf(" %s", std::string(name_of(isa)).c_str());
  }
  std::printf("\n");
}

/// The value after `name` among the arguments, or `otherwise`.
template <class T>
T argument(int argc, char** argv, std::string_view name, T otherwise) {
  for (int n = 1; n + 1 < argc; ++n) {
    if (argv[n] == name) {
      std::from_chars(argv[n + 1], argv[n + 1] + std::strlen(argv[n + 1]), otherwise);
    }
  }
  return otherwise;
}

}  // namespace
}  // namespace attention::tests

int main(int argc, char** argv) {
  using attention::tests::argument;
  using attention::tests::settings;
  ::testing::InitGoogleTest(&argc, argv);
  const double by_default = settings.seconds;
  settings.seconds = argument(argc, argv, "--seconds", by_default);
  if (settings.seconds > by_default) {
    settings.seed =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  }
  settings.seed = argument(argc, argv, "--seed", settings.seed);
  return RUN_ALL_TESTS();
}
