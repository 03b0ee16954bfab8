#include "sdpa_runs.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>

#include <gtest/gtest.h>

#include "sdpa_judges.hpp"
#include "strided_buffer.hpp"

namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The error that float64 arithmetic itself may make here, relative to the largest value.
double float64_error(const SdpaCase& c, const Truth& truth) {
  return 0x1p-52 * static_cast<double>(64 + c.D + c.S + c.Dv) * (4 + truth.largest_term);
}

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

}  // namespace

template <class T>
Run run_case(SdpaOperands<T>& operands, const Taken& way) {
  return operands.dense().c.owning ? run_owning(operands, way) : run_into(operands, way);
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
std::string judge_fused(const DenseProblem& p, const Truth& truth, const Results& found,
                        const Allowance& more) {
  const SdpaCase& c = p.c;
  const Results naive = reference_results<float, T>(p);
  std::vector<double> naive_out = naive.out;
  constexpr bool kRounds = !std::is_same_v<T, float>;
  const double slack = (kRounds ? 0 : 4 * 0x1p-23 * truth.largest_value) + more.of_out;
  if constexpr (kRounds) {
    naive_out = naive_rounded_out<T>(p, naive);
  }
  const std::vector<double> found_lse = without_empty_rows(found.lse, truth, c);
  const std::vector<double> true_lse = without_empty_rows(truth.results.lse, truth, c);
  const std::vector<double> naive_lse = without_empty_rows(naive.lse, truth, c);
  // lse and weights inherit the rounding of the scores, which is relative to what they are added up
  // from.
  const double score_slack = 4 * 0x1p-23 * (1 + truth.largest_term) + more.of_scores;
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

template Run run_case<float>(SdpaOperands<float>&, const Taken&);
template Run run_case<double>(SdpaOperands<double>&, const Taken&);
template Run run_case<float16>(SdpaOperands<float16>&, const Taken&);
template Run run_case<bfloat16>(SdpaOperands<bfloat16>&, const Taken&);
template std::string judge_rounded_once<float>(const DenseProblem&, const Truth&, const Results&);
template std::string judge_rounded_once<double>(const DenseProblem&, const Truth&, const Results&);
template std::string judge_rounded_once<float16>(const DenseProblem&, const Truth&, const Results&);
template std::string judge_rounded_once<bfloat16>(const DenseProblem&, const Truth&,
                                                  const Results&);
template std::string judge_fused<float>(const DenseProblem&, const Truth&, const Results&,
                                        const Allowance&);
template std::string judge_fused<float16>(const DenseProblem&, const Truth&, const Results&,
                                          const Allowance&);
template std::string judge_fused<bfloat16>(const DenseProblem&, const Truth&, const Results&,
                                           const Allowance&);

}  // namespace attention::tests
