#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/every_isa.hpp"
#include "harness/float64_sdpa.hpp"
#include "harness/sdpa_case.hpp"
#include "harness/sdpa_judges.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/sdpa_runs.hpp"

/// What the conformance grid seldom or never draws: values at the ends of the types' ranges, heads
/// of every size that models use, and keys of which the first blocks are wholly masked. Each on
/// every instruction set, in the panels (L > 4) and in the decoding kernel (L <= 4), with one piece
/// of keys and with two, against float64.
namespace attention::tests {
namespace {

constexpr std::int64_t kHeadSizes[] = {1, 3, 8, 17, 40, 59, 64, 80, 96, 111, 128, 192, 256};
constexpr std::int64_t kQueries[] = {1, 3, 5, 40};
constexpr std::int64_t kKeys[] = {1, 33, 700};

/// One rounding of out next to 0, where the steps between numbers do not shrink.
double smallest_step(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return 0x1p-24;
    case DType::bfloat16:
      return 0x1p-133;
    default:
      return 0x1p-149;
  }
}

template <class T>
void check(const SdpaCase& c, Isa isa) {
  const ::testing::ScopedTrace trace(__FILE__, __LINE__, describe(c));
  SdpaOperands<T> operands(c);
  const DenseProblem& p = operands.dense();
  const Truth truth = float64_sdpa(p);
  const Taken way = {.path = Path::fused, .isa = isa};
  const Run run = run_case(operands, way);
  EXPECT_EQ(run.taken, way);
  EXPECT_EQ(judge_blocked_cells(p, truth, run.results), "");
  EXPECT_EQ(judge_fused<T>(p, truth, run.results, {.of_out = smallest_step(c.dtype)}), "");
}

void check_any(const SdpaCase& c, Isa isa) {
  visit_fused_dtype(c.dtype, [&]<class T>() { check<T>(c, isa); });
}

/// Number n of the problems: the sizes and the content are given, the rest is varied by n.
SdpaCase problem(std::uint64_t n, DType dtype) {
  constexpr Arrangement kInputs[] = {Arrangement::dense, Arrangement::misaligned,
                                     Arrangement::heads_inside};
  SdpaCase c;
  c.seed = n;
  c.dtype = dtype;
  c.H = n % 3 == 0 ? 2 : 1;
  c.q = kInputs[n % 3];
  c.k = kInputs[(n + 1) % 3];
  c.v = kInputs[(n / 3) % 3];
  c.outputs = kInputs[(n / 5) % 3];
  c.with_weights = n % 2 == 0;
  c.owning = n % 4 == 1;
  c.threads = n % 5 == 0 ? 3 : 1;
  return c;
}

constexpr Content kContents[] = {
    Content::ordinary,    Content::huge_values,     Content::huge_scores,
    Content::overflowing, Content::denormal_values, Content::denormal_queries,
    Content::equal_keys,  Content::some_infinities, Content::poisoned_where_blocked,
    Content::some_nan};

/// Every head size with every length; three contents each, one for 16-bit elements, which differ in
/// how they are loaded and stored, and take the judges longer.
std::vector<SdpaCase> cases_of_every_head_size(DType dtype) {
  std::vector<SdpaCase> cases;
  for (const std::int64_t D : kHeadSizes) {
    for (const std::int64_t L : kQueries) {
      for (const std::int64_t S : kKeys) {
        for (int content = 0; content < (dtype == DType::float32 ? 3 : 1); ++content) {
          const std::uint64_t n = cases.size() + 1;
          SdpaCase c = problem(n, dtype);
          c.L = L;
          c.S = S;
          c.D = D;
          c.Dv = n % 4 == 3 ? kHeadSizes[n % std::size(kHeadSizes)] : D;
          c.content = kContents[n % std::size(kContents)];
          cases.push_back(c);
        }
      }
    }
  }
  return cases;
}

/// Blocks of 128 keys, pieces of 512, of which the first are masked in part, or all.
std::vector<SdpaCase> cases_of_masked_first_keys(DType dtype) {
  std::vector<SdpaCase> cases;
  for (const std::int64_t L : {1, 3, 40}) {
    for (const std::int64_t masked : {1, 128, 129, 512, 600, 1024, 1100}) {
      for (const MaskKind kind : {MaskKind::keep, MaskKind::block, MaskKind::add}) {
        for (const bool each_row : {false, true}) {
          const std::uint64_t n = 1000 + cases.size();
          SdpaCase c = problem(n, dtype);
          c.H = 1;
          c.L = L;
          c.S = 1100;
          c.D = n % 2 == 0 ? 17 : 64;
          c.Dv = n % 2 == 0 ? 40 : 8;
          c.content = n % 3 == 0 ? Content::ordinary : Content::poisoned_where_blocked;
          c.mask = kind;
          c.mask_dtype = kind == MaskKind::add ? DType::float32 : DType::boolean;
          c.mask_shape = each_row ? Shape{L, c.S} : Shape{c.S};
          c.mask_blocked = each_row ? 0.2 : 0.0;
          c.mask_first_keys = masked;
          cases.push_back(c);
        }
      }
    }
  }
  return cases;
}

class SdpaExtremes : public OnEveryIsaAndDType {};

TEST_P(SdpaExtremes, EveryHeadSizeMeetsTheBarWithAnyContent) {
  const std::vector<SdpaCase> cases = cases_of_every_head_size(GetParam().dtype);
  for (std::size_t n = 0; n < cases.size(); n += kOneOf) {
    SdpaCase c = cases[n];
    if (c.content == Content::poisoned_where_blocked) {
      c.mask = MaskKind::keep;
      c.mask_shape = {c.S};
      c.mask_blocked = 0.3;
    }
    check_any(c, GetParam().isa);
  }
}

/// A running maximum of -inf must be left again, and nothing of the masked blocks, NaN included,
/// may stay.
TEST_P(SdpaExtremes, FirstKeysWhollyMasked) {
  const std::vector<SdpaCase> cases = cases_of_masked_first_keys(GetParam().dtype);
  for (std::size_t n = 0; n < cases.size(); n += kOneOf) {
    check_any(cases[n], GetParam().isa);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SdpaExtremes, ::testing::ValuesIn(every_isa_and_dtype()),
                         name_of_isa_and_dtype);

}  // namespace
}  // namespace attention::tests
