#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/detail/sdpa_check.hpp>
#include <attention/ops/sdpa_backward.hpp>
#include <attention/reference/sdpa_backward.hpp>

#include "harness/every_isa.hpp"
#include "harness/sdpa_case.hpp"
#include "harness/sdpa_operands.hpp"

/// The fused gradients of each instruction set on drawn problems. The bar is FlashAttention's for
/// gradients: an error of at most three times that of naive float32.
namespace attention::tests {
namespace {

constexpr std::uint64_t kFirstSeed = 20220527;
constexpr std::uint64_t kCases = 1200 / kOneOf;

/// The gradients by the definition, in float throughout: what naive code gives.
SdpaGradients<float> naive_gradients(SdpaOperands<float>& operands, const SdpaOptions& options,
                                     TensorView<const float> d_out) {
  SdpaBackwardProblem<float> problem;
  problem.forward = detail::checked_problem<float>("naive", operands.q(), operands.k(),
                                                   operands.v(), options);
  const SdpaProblem<float>& forward = problem.forward;
  SdpaGradients<float> found;
  found.q = Tensor<float>({forward.B, forward.H, forward.L, forward.D});
  found.k = Tensor<float>({forward.B, forward.Hkv, forward.S, forward.D});
  found.v = Tensor<float>({forward.B, forward.Hkv, forward.S, forward.Dv});
  problem.d_out = d_out;
  problem.d_q = found.q;
  problem.d_k = found.k;
  problem.d_v = found.v;
  if (options.return_mask_gradient) {
    found.mask = Tensor<float>(options.mask.view().shape());
    problem.d_mask = found.mask;
    problem.d_mask_strides =
        problem.d_mask.broadcast_to({forward.B, forward.H, forward.L, forward.S}).strides();
  }
  if (!options.sinks.is_null()) {
    found.sinks = Tensor<float>({forward.H});
    problem.d_sinks = found.sinks;
  }
  reference::sdpa_backward<float>(problem);
  return found;
}

void judge(const std::string& name, const Tensor<float>& found, const Tensor<float>& naive,
           const Tensor<float>& truth) {
  double error = 0;
  double naive_error = 0;
  double largest = 0;
  for (std::size_t n = 0; n < truth.values().size(); ++n) {
    const auto expected = static_cast<double>(truth.values()[n]);
    ASSERT_TRUE(std::isfinite(found.values()[n])) << name << " " << n;
    error = std::max(error, std::abs(static_cast<double>(found.values()[n]) - expected));
    naive_error = std::max(naive_error, std::abs(static_cast<double>(naive.values()[n]) - expected));
    largest = std::max(largest, std::abs(expected));
  }
  EXPECT_LE(error, 3 * naive_error + 8 * 0x1p-23 * largest) << name;
}

bool same_bits(const Tensor<float>& a, const Tensor<float>& b) {
  return std::equal(a.values().begin(), a.values().end(), b.values().begin(), b.values().end());
}

class SdpaGradientConformance : public OnEveryIsa {};

TEST_P(SdpaGradientConformance, EveryProblemMeetsTheBarOnAnyNumberOfThreads) {
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kCases; ++seed) {
    const SdpaCase c = draw_case(seed, DType::float32);
    if (c.content == Content::overflowing || c.content == Content::some_nan ||
        c.content == Content::some_infinities) {
      continue;
    }
    SCOPED_TRACE(describe(c));
    SdpaOperands<float> operands(c);
    SdpaOptions options = operands.options({.path = Path::fused, .isa = GetParam()});
    options.return_mask_gradient = c.mask == MaskKind::add;
    Draws draws(seed);
    Tensor<float> d_out({c.B, c.H, c.L, c.Dv});
    for (float& x : d_out.values()) {
      x = static_cast<float>(draws.normal());
    }
    const auto saved = sdpa(operands.q(), operands.k(), operands.v(), options);
    const auto gradients = [&](const Execution& execution) {
      options.execution = execution;
      return sdpa_backward(d_out, operands.q(), operands.k(), operands.v(),
                           {.out = saved.out, .lse = saved.lse}, options);
    };
    const auto truth = gradients({.path = Path::reference});
    const auto found = gradients({.path = Path::fused, .isa = GetParam(), .threads = 1});
    EXPECT_EQ(found.taken.isa, GetParam());
    const auto naive = naive_gradients(operands, options, d_out);
    judge("q", found.q, naive.q, truth.q);
    judge("k", found.k, naive.k, truth.k);
    judge("v", found.v, naive.v, truth.v);
    if (options.return_mask_gradient) {
      judge("mask", found.mask, naive.mask, truth.mask);
    }
    if (!options.sinks.is_null()) {
      judge("sinks", found.sinks, naive.sinks, truth.sinks);
    }
    const auto again = gradients({.path = Path::fused, .isa = GetParam(), .threads = 2});
    EXPECT_TRUE(same_bits(found.q, again.q) && same_bits(found.k, again.k) &&
                same_bits(found.v, again.v));
    if (HasFailure()) {
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SdpaGradientConformance, ::testing::ValuesIn(kIsasWithKernels),
                         name_of_isa);

}  // namespace
}  // namespace attention::tests
