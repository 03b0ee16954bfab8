#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/concat.hpp>
#include <attention/ops/cross_entropy.hpp>
#include <attention/ops/elementwise.hpp>
#include <attention/ops/embedding.hpp>

#include "harness/counting_new.hpp"
#include "harness/every_path.hpp"

/// docs/semantics.md, rule 15, for the operations that training needs: the forms that write into
/// views allocate nothing.
namespace attention::tests {
namespace {

template <class T>
class TrainingAllocation : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TrainingAllocation, Types);

/// Calls once to start the threads, then counts.
template <class Function>
long allocations_of(const Function& function) {
  function();
  const long before = allocations_so_far();
  function();
  return allocations_so_far() - before;
}

TYPED_TEST(TrainingAllocation, Rule15ElementwiseAndConcatAllocateNothing) {
  using T = TypeParam;
  const auto a = random_tensor<T>({300, 129}, 1);
  const auto row = random_tensor<T>({129}, 2);
  Tensor<T> out({300, 129});
  Tensor<T> sums({129});
  Tensor<T> all(Shape{});
  Tensor<T> both({300, 258});
  const std::array<TensorView<const T>, 2> parts = {a, a};
  for (const int threads : {1, 4}) {
    const Execution execution{.threads = threads};
    EXPECT_EQ(allocations_of([&] { add_into(out, a, row, execution); }), 0);
    EXPECT_EQ(allocations_of([&] { multiply_into(out, a, row, execution); }), 0);
    EXPECT_EQ(allocations_of([&] { scale_into(out, a, 0.5, execution); }), 0);
    EXPECT_EQ(allocations_of([&] { sum_to_into(sums, a, execution); }), 0);
    EXPECT_EQ(allocations_of([&] { sum_to_into(all, a, execution); }), 0);
    EXPECT_EQ(allocations_of([&] { concat_into(both, parts, 1, execution); }), 0);
  }
}

TYPED_TEST(TrainingAllocation, Rule15EmbeddingAllocatesNothing) {
  using T = TypeParam;
  const Tensor<std::int32_t> indices({4, 70});
  const auto weight = random_tensor<T>({11, 64}, 1);
  Tensor<T> out({4, 70, 64});
  Tensor<T> d_weight({11, 64});
  std::vector<std::byte> workspace(embedding_backward_workspace_size(280, 11));
  for (const int threads : {1, 4}) {
    const EmbeddingOptions options{.execution = {.threads = threads}};
    EXPECT_EQ(allocations_of([&] { embedding_into(out, indices, weight, options); }), 0);
    EXPECT_EQ(allocations_of(
                  [&] { embedding_backward_into(d_weight, out, indices, options, workspace); }),
              0);
  }
}

TYPED_TEST(TrainingAllocation, Rule15CrossEntropyAllocatesNothing) {
  using T = TypeParam;
  const auto logits = random_tensor<T>({4, 70, 33}, 1);
  const Tensor<std::int64_t> targets({4, 70});
  Tensor<T> loss(Shape{});
  Tensor<T> lse({4, 70});
  Tensor<T> d_logits({4, 70, 33});
  for (const Path path : {Path::automatic, Path::reference}) {
    for (const int threads : {1, 4}) {
      const CrossEntropyOptions options{.label_smoothing = 0.1,
                                        .execution = {.path = path, .threads = threads}};
      EXPECT_EQ(allocations_of([&] {
                  cross_entropy_into({.loss = loss.view(), .lse = lse.view()}, logits, targets,
                                     options);
                }),
                0);
      EXPECT_EQ(allocations_of([&] {
                  cross_entropy_backward_into(d_logits, loss, logits, targets, lse, options);
                }),
                0);
    }
  }
}

}  // namespace
}  // namespace attention::tests
