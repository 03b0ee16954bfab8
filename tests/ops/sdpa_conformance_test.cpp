#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/kernel_isas.hpp>
#include <attention/ops/sdpa.hpp>

#include "harness/float64_sdpa.hpp"
#include "harness/sdpa_case.hpp"
#include "harness/sdpa_judges.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/sdpa_runs.hpp"

/// Every path on every element type that it serves, on thousands of drawn problems, against
/// float64. A failure prints the problem's seed: ATTENTION_SDPA_CASE=<seed> runs that problem
/// alone. ATTENTION_SDPA_CASES=<count> runs fewer or more of them.
namespace attention::tests {
namespace {

constexpr std::uint64_t kFirstSeed = 20170612;
#if defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kCasesPerStratum = 150;  // it takes fifty times as long, and sees threads
#else
constexpr std::uint64_t kCasesPerStratum = 2500;
#endif

template <class T>
void check_case(const SdpaCase& c, const Taken& way) {
  SdpaOperands<T> operands(c);
  const DenseProblem& p = operands.dense();
  const Truth truth = float64_sdpa(p);
  const Run run = run_case(operands, way);
  EXPECT_EQ(run.taken, way);
  EXPECT_EQ(judge_blocked_cells(p, truth, run.results), "");
  if (way.path == Path::reference) {
    EXPECT_EQ(judge_rounded_once<T>(p, truth, run.results), "");
  } else if constexpr (!std::is_same_v<T, double>) {
    EXPECT_EQ(judge_fused<T>(p, truth, run.results), "");
  }
  // The judge is judged too: the library's definition against the one written for this test.
  const Results reference = reference_results<double, double>(p);
  EXPECT_EQ(judge_blocked_cells(p, truth, reference), "");
  EXPECT_EQ(judge_rounded_once<double>(p, truth, reference), "");
}

struct Stratum {
  Taken way;
  DType dtype;
};

std::vector<Stratum> strata() {
  std::vector<Stratum> result;
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const Isa isa : {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
      result.push_back({.way = {.path = Path::fused, .isa = isa}, .dtype = dtype});
    }
    result.push_back({.way = {.path = Path::reference}, .dtype = dtype});
  }
  result.push_back({.way = {.path = Path::reference}, .dtype = DType::float64});
  return result;
}

/// The seeds of a stratum: those of the default run, or the one asked for.
std::vector<std::uint64_t> seeds_of(const Stratum& stratum) {
  if (const char* const one = std::getenv("ATTENTION_SDPA_CASE")) {
    return {std::strtoull(one, nullptr, 10)};
  }
  std::uint64_t first = kFirstSeed;
  if (const char* const other = std::getenv("ATTENTION_SDPA_FIRST_SEED")) {
    first = std::strtoull(other, nullptr, 10);
  }
  std::uint64_t count = kCasesPerStratum;
  if (const char* const other = std::getenv("ATTENTION_SDPA_CASES")) {
    count = std::strtoull(other, nullptr, 10);
  }
  std::vector<std::uint64_t> seeds;
  seeds.reserve(count);
  for (std::uint64_t n = 0; n < count; ++n) {
    seeds.push_back(first +
                    (static_cast<std::uint64_t>(stratum.dtype) * 2 +
                     (stratum.way.path == Path::fused ? 0 : 1)) *
                        kCasesPerStratum +
                    n);
  }
  return seeds;
}

class SdpaConformance : public ::testing::TestWithParam<Stratum> {};

TEST_P(SdpaConformance, EveryProblemMeetsTheBar) {
  const std::optional<Isa> isa = GetParam().way.isa;
  const std::vector<Isa> usable = kernel_isas();
  if (isa && std::ranges::find(usable, *isa) == usable.end()) {
    GTEST_SKIP() << "this processor, or this build, has no " << name_of(*isa);
  }
  const std::vector<std::uint64_t> seeds = seeds_of(GetParam());
  RecordProperty("first_seed", std::to_string(seeds.front()));
  int failed = 0;
  for (const std::uint64_t seed : seeds) {
    const SdpaCase c = draw_case(seed, GetParam().dtype);
    const ::testing::ScopedTrace trace(__FILE__, __LINE__, describe(c));
    const auto failures = ::testing::UnitTest::GetInstance()->current_test_info()->result();
    const int before = failures->total_part_count();
    switch (c.dtype) {
      case DType::float32:
        check_case<float>(c, GetParam().way);
        break;
      case DType::float64:
        check_case<double>(c, GetParam().way);
        break;
      case DType::float16:
        check_case<float16>(c, GetParam().way);
        break;
      default:
        check_case<bfloat16>(c, GetParam().way);
        break;
    }
    failed += failures->total_part_count() > before ? 1 : 0;
    ASSERT_LT(failed, 20) << "and perhaps more: the rest was not run";
  }
}

std::string name_of_stratum(const ::testing::TestParamInfo<Stratum>& stratum) {
  const auto& [way, dtype] = stratum.param;
  return std::string(name_of(way.path)) + "_" +
         (way.isa ? std::string(name_of(*way.isa)) + "_" : "") + std::string(name_of(dtype));
}

INSTANTIATE_TEST_SUITE_P(All, SdpaConformance, ::testing::ValuesIn(strata()), name_of_stratum);

}  // namespace
}  // namespace attention::tests
