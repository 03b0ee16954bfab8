#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>

#include "harness/every_isa.hpp"
#include "harness/every_path.hpp"
#include "harness/guarded_tensor.hpp"

/// Nothing past the last element of an input, an output or the workspace is read or written, with
/// rows of any stride: each tensor ends right before a page whose touch ends the process. On every
/// instruction set, in the panels and in the decoding kernel. (Keys past a length are those of
/// sdpa_semantics_isolation_test.cpp.)
namespace attention::tests {
namespace {

constexpr RowsLie kRowsLie[] = {RowsLie::dense, RowsLie::apart, RowsLie::heads_inside};

/// All of them, or none where only a sample is run; `n` counts the questions.
std::span<const RowsLie> one_of(std::span<const RowsLie> all, std::size_t& n) {
  return n++ % kOneOf == 0 ? all : all.first(0);
}

class GuardPages : public OnEveryIsaAndDType {};

template <class T>
void check_sdpa(const InputSizes& sizes, RowsLie rows, const Execution& execution) {
  using Real = Accumulator<T>;
  SCOPED_TRACE("L " + std::to_string(sizes.L) + ", S " + std::to_string(sizes.S) + ", D " +
               std::to_string(sizes.D) + ", rows " + std::to_string(static_cast<int>(rows)));
  const auto inputs = random_inputs<T>(sizes);
  const auto bias = random_tensor<float>({1, 1, sizes.L, sizes.S}, 5);
  const auto expected =
      sdpa(inputs.q, inputs.k, inputs.v,
           {.mask = Mask::add(bias), .return_weights = true, .execution = execution});
  GuardedTensor<T> q(inputs.q, rows);
  GuardedTensor<T> k(inputs.k, rows);
  GuardedTensor<T> v(inputs.v, rows);
  GuardedTensor<float> mask(bias, rows);
  GuardedTensor<T> out(expected.out.shape(), rows);
  GuardedTensor<Real> lse({1, sizes.B, sizes.H, sizes.L}, rows);
  GuardedTensor<Real> weights(expected.weights.shape(), rows);
  const std::size_t bytes = sdpa_workspace_size({.B = sizes.B,
                                                 .H = sizes.H,
                                                 .Hkv = sizes.Hkv,
                                                 .L = sizes.L,
                                                 .S = sizes.S,
                                                 .D = sizes.D,
                                                 .Dv = sizes.Dv,
                                                 .dtype = kDTypeOf<T>},
                                                execution);
  GuardedTensor<std::uint8_t> workspace({1, 1, 1, static_cast<std::int64_t>(bytes)},
                                        RowsLie::dense);
  const TensorView<Real> lse_view = lse.view().select(0, 0);
  sdpa_into({.out = out.view(), .lse = lse_view, .weights = weights.view()}, q.view(), k.view(),
            v.view(), {.mask = Mask::add(mask.view()), .execution = execution},
            std::as_writable_bytes(std::span(workspace.view().data(), bytes)));
  EXPECT_TRUE(same_bits<T>(out.view(), expected.out.view()));
  EXPECT_TRUE(same_bits<Real>(lse_view, expected.lse.view()));
  EXPECT_TRUE(same_bits<Real>(weights.view(), expected.weights.view()));
}

template <class T>
void check_sdpa_of_every_size(const Execution& execution) {
  std::size_t n = 0;
  for (const std::int64_t L : {1, 3, 5, 40}) {
    for (const std::int64_t S : {1, 33, 700}) {
      for (const std::int64_t D : {1, 3, 8, 17, 59, 64, 111}) {
        for (const RowsLie rows : one_of(kRowsLie, n)) {
          check_sdpa<T>({.H = 2, .Hkv = D % 2 == 0 ? 1 : 2, .L = L, .S = S, .D = D, .Dv = D}, rows,
                        execution);
        }
      }
    }
  }
}

TEST_P(GuardPages, SdpaTouchesNothingPastItsTensors) {
  const Execution execution = {.path = Path::fused, .isa = GetParam().isa, .threads = 2};
  visit_fused_dtype(GetParam().dtype, [&]<class T>() { check_sdpa_of_every_size<T>(execution); });
}

template <class T>
void check_linear(std::int64_t rows_of_x, std::int64_t I, std::int64_t O, RowsLie rows,
                  const Execution& execution) {
  SCOPED_TRACE("rows " + std::to_string(rows_of_x) + ", I " + std::to_string(I) + ", O " +
               std::to_string(O) + ", rows lie " + std::to_string(static_cast<int>(rows)));
  const auto x = random_tensor<T>({1, 2, rows_of_x, I}, 1);
  const auto weight = random_tensor<T>({1, 1, O, I}, 2);
  const auto bias = random_tensor<T>({1, 1, 1, O}, 3);
  const auto matrix = [](auto view) { return view.select(0, 0).select(0, 0); };
  const auto expected =
      linear(x, matrix(weight.view()), matrix(bias.view()).select(0, 0), {.execution = execution});
  GuardedTensor<T> guarded_x(x, rows);
  GuardedTensor<T> guarded_weight(weight, rows);
  GuardedTensor<T> guarded_bias(bias, rows);
  GuardedTensor<T> out(expected.shape(), rows);
  const std::size_t bytes = linear_workspace_size(I, kDTypeOf<T>, execution);
  GuardedTensor<std::uint8_t> workspace({1, 1, 1, static_cast<std::int64_t>(bytes)},
                                        RowsLie::dense);
  linear_into(out.view(), guarded_x.view(), matrix(guarded_weight.view()),
              matrix(guarded_bias.view()).select(0, 0), {.execution = execution},
              std::as_writable_bytes(std::span(workspace.view().data(), bytes)));
  EXPECT_TRUE(same_bits<T>(out.view(), expected.view()));
}

template <class T>
void check_linear_of_every_size(const Execution& execution) {
  std::size_t n = 0;
  for (const std::int64_t rows_of_x : {1, 3, 5, 40}) {
    for (const std::int64_t I : {1, 3, 17, 64, 700}) {
      for (const std::int64_t O : {1, 7, 33, 64}) {
        for (const RowsLie rows : one_of(kRowsLie, n)) {
          check_linear<T>(rows_of_x, I, O, rows, execution);
        }
      }
    }
  }
}

TEST_P(GuardPages, LinearTouchesNothingPastItsTensors) {
  const Execution execution = {.path = Path::fused, .isa = GetParam().isa, .threads = 2};
  visit_fused_dtype(GetParam().dtype, [&]<class T>() { check_linear_of_every_size<T>(execution); });
}

INSTANTIATE_TEST_SUITE_P(All, GuardPages, ::testing::ValuesIn(every_isa_and_dtype()),
                         name_of_isa_and_dtype);

}  // namespace
}  // namespace attention::tests
