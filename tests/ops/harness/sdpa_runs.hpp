#pragma once

#include <string>

#include <attention/ops/sdpa.hpp>

#include "float64_sdpa.hpp"
#include "sdpa_operands.hpp"

namespace attention::tests {

struct Run {
  Results results;
  Taken taken;
};

/// Calls sdpa or sdpa_into as the case says, and expects that nothing is written beside the outputs
/// and the workspace.
template <class T>
Run run_case(SdpaOperands<T>& operands, const Taken& way);

/// judge_by_rounding for all outputs.
template <class T>
std::string judge_rounded_once(const DenseProblem& p, const Truth& truth, const Results& found);

/// What a judge allows besides the bar of judge_fused.
struct Allowance {
  double of_out = 0;
  double of_scores = 0;  // that is, of lse and weights
};

/// judge_by_naive for all outputs.
template <class T>
std::string judge_fused(const DenseProblem& p, const Truth& truth, const Results& found,
                        const Allowance& more = {});

}  // namespace attention::tests
