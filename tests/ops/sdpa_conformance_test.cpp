#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/kernel_isas.hpp>
#include <attention/ops/sdpa.hpp>

#include "harness/float64_sdpa.hpp"
#include "harness/sdpa_case.hpp"
#include "harness/sdpa_judges.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/strided_buffer.hpp"

/// Every path on every element type that it serves, on thousands of drawn problems, against
/// float64. A failure prints the problem's seed: ATTENTION_SDPA_CASE=<seed> runs that problem
/// alone.
namespace attention::tests {
namespace {

constexpr std::uint64_t kFirstSeed = 20170612;
#if defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kCasesPerStratum = 150;  // it takes fifty times as long, and sees threads
#else
constexpr std::uint64_t kCasesPerStratum = 2500;
#endif
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The error that float64 arithmetic itself may make here, relative to the largest value.
double float64_error(const SdpaCase& c, const Truth& truth) {
  return 0x1p-52 * static_cast<double>(64 + c.D + c.S + c.Dv) * (4 + truth.largest_term);
}

struct Run {
  Results results;
  Taken taken;
};

template <class T>
Run run_owning(SdpaOperands<T>& operands, const Taken& way) {
  const SdpaCase& c = operands.dense().c;
  const SdpaResult<T> result =
      sdpa(operands.q(), operands.k(), operands.v(), operands.options(way));
  EXPECT_EQ(result.out.shape(), (Shape{c.B, c.H, c.L, c.Dv}));
  EXPECT_EQ(result.lse.shape(), (Shape{c.B, c.H, c.L}));
  EXPECT_EQ(result.weights.is_null(), !c.with_weights);
  Run run{.results = {.out = widened(result.out), .lse = widened(result.lse), .weights = {}},
          .taken = result.taken};
  if (c.with_weights) {
    EXPECT_EQ(result.weights.shape(), (Shape{c.B, c.H, c.L, c.S}));
    run.results.weights = widened(result.weights);
  }
  return run;
}

template <class T>
Run run_into(SdpaOperands<T>& operands, const Taken& way) {
  const SdpaCase& c = operands.dense().c;
  using Real = Accumulator<T>;
  Draws draws(c.seed + 1);
  const T filler = element_cast<T>(std::numeric_limits<float>::quiet_NaN());
  const Real real_filler = std::numeric_limits<Real>::quiet_NaN();
  StridedBuffer<T> out({c.B, c.H, c.L, c.Dv}, c.outputs, draws, filler);
  StridedBuffer<Real> lse({c.B, c.H, c.L}, c.outputs, draws, real_filler);
  StridedBuffer<Real> weights({c.B, c.H, c.L, c.S}, c.outputs, draws, real_filler);
  SdpaOutputs<T> outputs{.out = out.view()};
  if (c.with_lse) {
    outputs.lse = lse.view();
  }
  if (c.with_weights) {
    outputs.weights = weights.view();
  }
  const SdpaOptions options = operands.options(way);
  const std::size_t needed = sdpa_workspace_size({.B = c.B,
                                                  .H = c.H,
                                                  .Hkv = c.Hkv,
                                                  .L = c.L,
                                                  .S = c.S,
                                                  .D = c.D,
                                                  .Dv = c.Dv,
                                                  .dtype = kDTypeOf<T>},
                                                 options.execution);
  constexpr std::size_t kMargin = 3;  // the workspace may start anywhere
  constexpr std::byte kCanary{0xA5};
  std::vector<std::byte> workspace(needed + 2 * kMargin, kCanary);
  Run run;
  run.taken = sdpa_into(outputs, operands.q(), operands.k(), operands.v(), options,
                        std::span(workspace).subspan(kMargin, needed));
  for (std::size_t n = 0; n < kMargin; ++n) {
    EXPECT_EQ(workspace[n], kCanary) << "written before the workspace";
    EXPECT_EQ(workspace[workspace.size() - 1 - n], kCanary) << "written past the workspace";
  }
  EXPECT_TRUE(out.is_untouched_outside()) << "written outside of out";
  EXPECT_TRUE(lse.is_untouched_outside()) << "written outside of lse";
  EXPECT_TRUE(weights.is_untouched_outside()) << "written outside of weights";
  run.results.out = widened(out.view());
  if (c.with_lse) {
    run.results.lse = widened(lse.view());
  }
  if (c.with_weights) {
    run.results.weights = widened(weights.view());
  }
  return run;
}

/// lse -inf is right where a row sees nothing, and judged apart: here it counts as 0.
std::vector<double> without_empty_rows(std::vector<double> lse, const Truth& truth,
                                       const SdpaCase& c) {
  const auto keys = static_cast<std::size_t>(c.S);
  for (std::size_t row = 0; row < lse.size(); ++row) {
    const auto visible = std::span(truth.visible).subspan(row * keys, keys);
    const bool sees_none = std::ranges::find(visible, 1) == visible.end();
    if (sees_none && lse[row] == -kInfinity) {
      lse[row] = 0;
    }
  }
  return lse;
}

template <class T>
std::string judge_rounded_once(const DenseProblem& p, const Truth& truth, const Results& found) {
  const SdpaCase& c = p.c;
  const double error = float64_error(c, truth);
  const std::vector<double> found_lse = without_empty_rows(found.lse, truth, c);
  const std::vector<double> true_lse = without_empty_rows(truth.results.lse, truth, c);
  std::string wrong = judge_by_rounding({.name = "out",
                                         .found = found.out,
                                         .truth = truth.results.out,
                                         .row_size = static_cast<std::size_t>(c.Dv)},
                                        kDTypeOf<T>, error * truth.largest_value);
  wrong += judge_by_rounding({.name = "lse", .found = found_lse, .truth = true_lse},
                             kDTypeOf<Accumulator<T>>, error);
  wrong += judge_by_rounding({.name = "weights",
                              .found = found.weights,
                              .truth = truth.results.weights,
                              .row_size = static_cast<std::size_t>(c.S)},
                             kDTypeOf<Accumulator<T>>, error);
  return wrong;
}

template <class T>
std::string judge_fused(const DenseProblem& p, const Truth& truth, const Results& found) {
  const SdpaCase& c = p.c;
  const Results naive = reference_results<float, T>(p);
  std::vector<double> naive_out = naive.out;
  constexpr bool kRounds = !std::is_same_v<T, float>;
  const double slack = kRounds ? 0 : 4 * 0x1p-23 * truth.largest_value;
  if constexpr (kRounds) {
    naive_out = naive_rounded_out<T>(p, naive);
  }
  const std::vector<double> found_lse = without_empty_rows(found.lse, truth, c);
  const std::vector<double> true_lse = without_empty_rows(truth.results.lse, truth, c);
  const std::vector<double> naive_lse = without_empty_rows(naive.lse, truth, c);
  // lse and weights inherit the rounding of the scores, which is relative to what they are added up
  // from.
  const double score_slack = 4 * 0x1p-23 * (1 + truth.largest_term);
  std::string wrong = judge_by_naive({.name = "out",
                                      .found = found.out,
                                      .truth = truth.results.out,
                                      .row_size = static_cast<std::size_t>(c.Dv)},
                                     naive_out, slack);
  wrong += judge_by_naive({.name = "lse", .found = found_lse, .truth = true_lse}, naive_lse,
                          score_slack);
  wrong += judge_by_naive({.name = "weights",
                           .found = found.weights,
                           .truth = truth.results.weights,
                           .row_size = static_cast<std::size_t>(c.S)},
                          naive.weights, score_slack);
  return wrong;
}

template <class T>
void check_case(const SdpaCase& c, const Taken& way) {
  SdpaOperands<T> operands(c);
  const DenseProblem& p = operands.dense();
  const Truth truth = float64_sdpa(p);
  const Run run = c.owning ? run_owning(operands, way) : run_into(operands, way);
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
    for (const Isa isa : {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512}) {
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
  std::vector<std::uint64_t> seeds;
  seeds.reserve(kCasesPerStratum);
  for (std::uint64_t n = 0; n < kCasesPerStratum; ++n) {
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
