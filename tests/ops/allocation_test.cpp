#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/activation.hpp>
#include <attention/ops/dropout.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/linear_backward.hpp>
#include <attention/ops/sdpa.hpp>
#include <attention/ops/softmax.hpp>

#include "harness/counting_new.hpp"
#include "harness/every_path.hpp"
#include "harness/norms.hpp"

/// docs/semantics.md, rules 6 and 15: the forms that write into views allocate nothing, and no
/// scratch grows with L x S.
namespace attention::tests {
namespace {

template <class Setting>
class Allocation : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(Allocation, EveryPath, PathNames);

template <class Function>
long allocations_of(const Function& function) {
  const long before = allocations_so_far();
  function();
  return allocations_so_far() - before;
}

TEST(AllocationCounter, CountsAnAllocation) {
  EXPECT_GE(allocations_of([] { const Tensor<float> tensor({3}); }), 1);
}

TYPED_TEST(Allocation, Rule15SdpaIntoAllocatesNothing) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.B = 2, .H = 4, .Hkv = 2, .L = 33, .S = 70});
  const Tensor<float> bias = random_tensor<float>({33, 70}, 3);
  const Tensor<std::int64_t> lengths({2}, {70, 31});
  const Tensor<float> sinks({4});
  Tensor<T> out({2, 4, 33, 8});
  Tensor<Accumulator<T>> lse({2, 4, 33});
  Tensor<Accumulator<T>> weights({2, 4, 33, 70});
  for (const int threads : {1, 4}) {
    const SdpaOptions options{.mask = Mask::add(bias),
                              .causal = true,
                              .alignment = Alignment::bottom_right(),
                              .key_lengths = lengths,
                              .softcap = 3.0,
                              .sinks = sinks,
                              .dropout = {.probability = 0.1},
                              .execution = {.path = TypeParam::kPath, .threads = threads}};
    std::vector<std::byte> workspace(sdpa_workspace_size(
        {.B = 2, .H = 4, .Hkv = 2, .L = 33, .S = 70, .D = 8, .Dv = 8, .dtype = kDTypeOf<T>},
        options.execution));
    const auto run = [&] {
      sdpa_into({.out = out.view(), .lse = lse.view(), .weights = weights.view()}, inputs.q,
                inputs.k, inputs.v, options, workspace);
    };
    if (threads > 1) {
      run();  // the first call with threads starts them
    }
    EXPECT_EQ(allocations_of(run), 0) << threads;
  }
}

TYPED_TEST(Allocation, Rule15SoftmaxIntoAllocatesNothing) {
  using T = typename TypeParam::Element;
  const Tensor<T> x = random_tensor<T>({5, 7, 100}, 1);
  Tensor<T> out({5, 7, 100});
  softmax_into(out, x, {.threads = 4});
  EXPECT_EQ(allocations_of([&] { softmax_into(out, x, {.threads = 4}); }), 0);
  EXPECT_EQ(allocations_of([&] { softmax_into(out, x, {.threads = 1}); }), 0);
}

TYPED_TEST(Allocation, Rule15SoftmaxBackwardIntoAllocatesNothing) {
  using T = typename TypeParam::Element;
  const Tensor<T> out = random_tensor<T>({5, 70, 100}, 1);
  Tensor<T> d_x = random_tensor<T>({5, 70, 100}, 2);
  const auto run = [&](int threads) { softmax_backward_into(d_x, d_x, out, {.threads = threads}); };
  run(4);
  EXPECT_EQ(allocations_of([&] { run(4); }), 0);
  EXPECT_EQ(allocations_of([&] { run(1); }), 0);
}

TYPED_TEST(Allocation, Rule15ActivationIntoAllocatesNothing) {
  using T = typename TypeParam::Element;
  if constexpr (sizeof(T) >= sizeof(float)) {
    const Tensor<T> x = random_tensor<T>({70, 3, 300}, 1);
    Tensor<T> out({300, 70, 3});
    const TensorView<T> turned = out.view().permute({1, 2, 0});
    const auto run = [&](int threads) {
      const ActivationOptions options{.activation = Activation::gelu,
                                      .execution = {.path = TypeParam::kPath, .threads = threads}};
      activation_into(turned, x, options);
      activation_backward_into(turned, turned, x, options);
    };
    run(4);
    EXPECT_EQ(allocations_of([&] { run(4); }), 0);
    EXPECT_EQ(allocations_of([&] { run(1); }), 0);
  }
}

TEST(AllocationOfDropout, Rule15DropoutIntoAllocatesNothing) {
  const Tensor<float> x = random_tensor<float>({5, 7, 1000}, 1);
  Tensor<float> out({5, 7, 1000});
  for (const Path path : {Path::fused, Path::reference}) {
    for (const int threads : {4, 1}) {
      const DropoutOptions options{.probability = 0.1,
                                   .execution = {.path = path, .threads = threads}};
      dropout_into(out, x, options);
      EXPECT_EQ(allocations_of([&] { dropout_into(out, x, options); }), 0);
      EXPECT_EQ(allocations_of([&] { dropout_backward_into(out, x, options); }), 0);
    }
  }
}

TYPED_TEST(Allocation, Rule15LinearIntoAllocatesNothing) {
  using T = typename TypeParam::Element;
  const Tensor<T> x = random_tensor<T>({6, 9, 40}, 1);
  const Tensor<T> weight = random_tensor<T>({17, 40}, 2);
  const Tensor<T> bias = random_tensor<T>({17}, 3);
  Tensor<T> out({6, 9, 17});
  for (const int threads : {1, 4}) {
    const Execution execution{.path = TypeParam::kPath, .threads = threads};
    std::vector<std::byte> workspace(linear_workspace_size(40, kDTypeOf<T>, execution));
    const auto run = [&] {
      linear_into(out, x, weight, bias, {.execution = execution}, workspace);
    };
    if (threads > 1) {
      run();
    }
    EXPECT_EQ(allocations_of(run), 0) << threads;
  }
}

TYPED_TEST(Allocation, Rule15LinearBackwardIntoAllocatesNothing) {
  using T = typename TypeParam::Element;
  if constexpr (sizeof(T) >= sizeof(float)) {
    const Tensor<T> d_out = random_tensor<T>({60, 9, 17}, 1);
    const Tensor<T> x = random_tensor<T>({60, 9, 40}, 2);
    const Tensor<T> weight = random_tensor<T>({17, 40}, 3);
    Tensor<T> d_x({60, 9, 40});
    Tensor<T> d_weight({17, 40});
    Tensor<T> d_bias({17});
    for (const int threads : {1, 4}) {
      const Execution execution{.path = TypeParam::kPath, .threads = threads};
      std::vector<std::byte> workspace(linear_backward_workspace_size(40, kDTypeOf<T>, execution));
      const auto run = [&] {
        linear_backward_into({.x = d_x, .weight = d_weight, .bias = d_bias}, d_out, x, weight,
                             {.execution = execution}, workspace);
      };
      if (threads > 1) {
        run();
      }
      EXPECT_EQ(allocations_of(run), 0) << threads;
    }
  }
}

template <class Setting>
class NormAllocation : public ::testing::Test {};
TYPED_TEST_SUITE(NormAllocation, EveryNorm, NormNames);

TYPED_TEST(NormAllocation, Rule15TheFormsIntoViewsAllocateNothing) {
  using T = typename TypeParam::Element;
  constexpr NormKind kKind = TypeParam::kKind;
  const Tensor<T> x = random_tensor<T>({6, 30, 40}, 1);
  const Tensor<T> d_out = random_tensor<T>({6, 30, 40}, 2);
  const Tensor<T> weight = random_tensor<T>({40}, 3);
  Tensor<T> out({6, 30, 40});
  Tensor<T> mean({6, 30});
  Tensor<T> rstd({6, 30});
  Tensor<T> d_weight({40});
  Tensor<T> d_bias({40});
  for (const int threads : {1, 4}) {
    const NormOptions options{.execution = {.path = TypeParam::kPath, .threads = threads}};
    std::vector<std::byte> workspace(
        norm_workspace_size<kKind>(180, 40, kDTypeOf<T>, options.execution));
    const auto run = [&] {
      norm_into<kKind, T>({.out = out.view(), .mean = mean.view(), .rstd = rstd.view()}, x, weight,
                          weight, options);
      norm_backward_into<kKind, T>(
          {.x = out.view(), .weight = d_weight.view(), .bias = d_bias.view()},
          {.d_out = d_out, .x = x, .weight = weight, .saved = {.mean = mean, .rstd = rstd}},
          options, workspace);
    };
    if (threads > 1) {
      run();
    }
    EXPECT_EQ(allocations_of(run), 0) << threads;
  }
}

TYPED_TEST(Allocation, Rule06NoScratchGrowsWithTheNumberOfScores) {
  using T = typename TypeParam::Element;
  const Execution execution{.path = TypeParam::kPath, .threads = 2};
  const auto bytes = [&](std::int64_t L, std::int64_t S) {
    return sdpa_workspace_size(
        {.B = 8, .H = 8, .Hkv = 8, .L = L, .S = S, .D = 64, .Dv = 64, .dtype = kDTypeOf<T>},
        execution);
  };
  EXPECT_EQ(bytes(1024, 1024), bytes(1 << 20, 1024)) << "scratch must not grow with L";
  if (TypeParam::kPath == Path::fused) {
    // Scores of a few keys are kept for the weights, 1 MiB of them at most.
    EXPECT_EQ(bytes(1024, 1 << 20), bytes(1024, 1 << 24)) << "nor, on this path, with S";
    for (const std::int64_t S : {1024, 8192, 65536}) {
      EXPECT_LE(bytes(1024, S), 2 * (std::size_t{4} << 20)) << S;
    }
  }
  EXPECT_LE(bytes(1024, 1 << 20), std::size_t{64} << 20);
}

}  // namespace
}  // namespace attention::tests
