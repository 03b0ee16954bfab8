#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/parallel.hpp>
#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"
#include "harness/strided_buffer.hpp"

/// docs/semantics.md, rule 13: the same bits for any number of threads, any batch composition, any
/// buffer alignment, and any cut of the queries.
namespace attention::tests {
namespace {

template <class Setting>
class SdpaBits : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaBits, EveryPath, PathNames);

constexpr InputSizes kSizes{.B = 3, .H = 4, .Hkv = 2, .L = 37, .S = 101, .D = 19, .Dv = 11};

TYPED_TEST(SdpaBits, Rule13AnyNumberOfThreads) {
  const auto inputs = random_inputs<typename TypeParam::Element>(kSizes);
  const Tensor<std::int64_t> lengths({3}, {101, 64, 17});
  SdpaOptions options{
      .causal = true, .alignment = Alignment::bottom_right(), .key_lengths = lengths};
  options.execution.threads = 1;
  const auto expected = this->attend(inputs, options);
  for (const int threads : {0, 2, 3, 4, 5, 6, 7, 8}) {
    options.execution.threads = threads;
    for (int run = 0; run < 5; ++run) {
      EXPECT_TRUE(same_bits(this->attend(inputs, options), expected)) << threads;
    }
  }
}

/// Runs the workers of each job one after the other, the last first.
class BackwardExecutor final : public Executor {
 public:
  void run(int workers, FunctionRef<void(int)> worker) override {
    for (int number = workers - 1; number >= 0; --number) {
      worker(number);
    }
  }
};

TYPED_TEST(SdpaBits, Rule13AnyExecutor) {
  const auto inputs = random_inputs<typename TypeParam::Element>(kSizes);
  const SdpaOptions options{.execution = {.threads = 3}};
  const auto expected = this->attend(inputs, options);
  BackwardExecutor executor;
  set_executor(&executor);
  const auto found = this->attend(inputs, options);
  set_executor(nullptr);
  EXPECT_TRUE(same_bits(found, expected));
}

TYPED_TEST(SdpaBits, Rule13AnyBatchComposition) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>(kSizes);
  const Tensor<std::int64_t> lengths({3}, {101, 64, 17});
  const Tensor<float> slopes({4}, {0.5F, 0.25F, 0.125F, 0.0625F});
  const SdpaOptions options{.causal = true,
                            .alignment = Alignment::bottom_right(),
                            .key_lengths = lengths,
                            .alibi_slopes = slopes};
  const auto whole = this->attend(inputs, options);
  for (std::int64_t b = 0; b < 3; ++b) {
    SdpaOptions alone = options;
    alone.key_lengths = lengths.view().slice(0, b, 1);
    const auto entry = this->attend(inputs.q.view().slice(0, b, 1), inputs.k.view().slice(0, b, 1),
                                    inputs.v.view().slice(0, b, 1), alone);
    EXPECT_TRUE(same_bits<T>(entry.out, whole.out.view().slice(0, b, 1))) << b;
    EXPECT_TRUE(same_bits<Accumulator<T>>(entry.lse, whole.lse.view().slice(0, b, 1))) << b;
    EXPECT_TRUE(same_bits<Accumulator<T>>(entry.weights, whole.weights.view().slice(0, b, 1)));
  }
}

TYPED_TEST(SdpaBits, Rule13AnyHeadAlone) {
  using T = typename TypeParam::Element;
  for (const std::int64_t L : {1, 4, 37}) {
    const auto inputs = random_inputs<T>({.H = 16, .Hkv = 2, .L = L, .S = 45, .D = 24, .Dv = 24});
    const auto whole = this->attend(inputs, {.scale = 1.0});
    for (std::int64_t h = 0; h < 16; ++h) {
      const auto head =
          this->attend(inputs.q.view().slice(1, h, 1), inputs.k.view().slice(1, h / 8, 1),
                       inputs.v.view().slice(1, h / 8, 1), {.scale = 1.0});
      EXPECT_TRUE(same_bits<T>(head.out, whole.out.view().slice(1, h, 1))) << h;
    }
  }
}

TYPED_TEST(SdpaBits, Rule13AnyBufferAlignment) {
  using T = typename TypeParam::Element;
  const auto inputs =
      random_inputs<T>({.B = 1, .H = 2, .Hkv = 1, .L = 18, .S = 67, .D = 16, .Dv = 16});
  const auto expected = this->attend(inputs);
  for (std::int64_t shift = 0; shift < 16; ++shift) {
    const auto shifted = [&](const Tensor<T>& tensor) {
      Tensor<T> buffer({tensor.element_count() + 16});
      std::copy(tensor.values().begin(), tensor.values().end(), buffer.data() + shift);
      return buffer;
    };
    const Tensor<T> q = shifted(inputs.q);
    const Tensor<T> k = shifted(inputs.k);
    const Tensor<T> v = shifted(inputs.v);
    const auto view = [&](const Tensor<T>& buffer, const Tensor<T>& like) {
      return TensorView<const T>(buffer.data() + shift, like.shape());
    };
    EXPECT_TRUE(
        same_bits(this->attend(view(q, inputs.q), view(k, inputs.k), view(v, inputs.v)), expected))
        << shift;
  }
}

TYPED_TEST(SdpaBits, Rule13AnyAlignmentOfOutputsAndWorkspace) {
  using T = typename TypeParam::Element;
  using Real = Accumulator<T>;
  const auto inputs = random_inputs<T>({.H = 2, .Hkv = 1, .L = 18, .S = 67});
  const auto expected = this->attend(inputs);
  const Execution execution{.path = TypeParam::kPath, .threads = 2};
  const std::size_t needed = sdpa_workspace_size(
      {.H = 2, .L = 18, .S = 67, .D = 8, .Dv = 8, .dtype = kDTypeOf<T>}, execution);
  Draws draws(5);
  for (std::size_t shift = 0; shift < 16; ++shift) {
    StridedBuffer<T> out(expected.out.shape(), Arrangement::misaligned, draws, T{});
    StridedBuffer<Real> lse(expected.lse.shape(), Arrangement::misaligned, draws, Real{});
    StridedBuffer<Real> weights(expected.weights.shape(), Arrangement::misaligned, draws, Real{});
    std::vector<std::byte> workspace(needed + shift);
    sdpa_into({.out = out.view(), .lse = lse.view(), .weights = weights.view()}, inputs.q, inputs.k,
              inputs.v, {.execution = execution}, std::span(workspace).subspan(shift));
    EXPECT_TRUE(same_bits<T>(out.view(), expected.out)) << shift;
    EXPECT_TRUE(same_bits<Real>(lse.view(), expected.lse)) << shift;
    EXPECT_TRUE(same_bits<Real>(weights.view(), expected.weights)) << shift;
  }
}

TYPED_TEST(SdpaBits, Rule13AWorkspaceOfAnyContentAndMoreBytesThanNeeded) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 18, .S = 67});
  const auto expected = this->attend(inputs);
  std::vector<std::byte> workspace(std::size_t{1} << 20, std::byte{0xFF});
  Tensor<T> out(expected.out.shape());
  for (int run = 0; run < 2; ++run) {
    sdpa_into({.out = out.view()}, inputs.q, inputs.k, inputs.v,
              {.execution = {.path = TypeParam::kPath, .threads = 1}}, workspace);
    EXPECT_TRUE(same_bits(out, expected.out));
  }
}

TYPED_TEST(SdpaBits, Rule13APrefillInChunksEqualsTheWhole) {
  using T = typename TypeParam::Element;
  constexpr std::int64_t kLength = 101;
  const auto inputs =
      random_inputs<T>({.H = 2, .Hkv = 1, .L = kLength, .S = kLength, .D = 19, .Dv = 11});
  const Tensor<float> slopes({2}, {0.5F, 0.25F});
  const SdpaOptions options{.causal = true, .window = {.left = 50}, .alibi_slopes = slopes};
  const auto whole = this->attend(inputs, options);
  for (const std::int64_t multiple : {1, 2, 3, 4}) {
    const std::int64_t chunk = multiple * prefill_multiple();
    for (std::int64_t start = 0; start < kLength; start += chunk) {
      const std::int64_t count = std::min(chunk, kLength - start);
      SdpaOptions part = options;
      part.alignment = Alignment::at(start);
      const auto found =
          this->attend(inputs.q.view().slice(2, start, count), inputs.k, inputs.v, part);
      EXPECT_TRUE(same_bits<T>(found.out, whole.out.view().slice(2, start, count)))
          << chunk << ", " << start;
      EXPECT_TRUE(same_bits<Accumulator<T>>(found.lse, whole.lse.view().slice(2, start, count)));
    }
  }
}

/// As with a KV cache: the keys after the chunk are not there yet.
TYPED_TEST(SdpaBits, Rule13APrefillInChunksOverAGrowingCacheEqualsTheWhole) {
  using T = typename TypeParam::Element;
  constexpr std::int64_t kLength = 192;
  const auto inputs = random_inputs<T>({.L = kLength, .S = kLength, .D = 19, .Dv = 11});
  const auto whole = this->attend(inputs, {.causal = true});
  for (const std::int64_t multiple : {1, 2, 4}) {
    const std::int64_t chunk = multiple * prefill_multiple();
    for (std::int64_t start = 0; start < kLength; start += chunk) {
      const std::int64_t end = start + chunk;
      const auto found =
          this->attend(inputs.q.view().slice(2, start, chunk), inputs.k.view().slice(2, 0, end),
                       inputs.v.view().slice(2, 0, end),
                       {.causal = true, .alignment = Alignment::bottom_right()});
      EXPECT_TRUE(same_bits<T>(found.out, whole.out.view().slice(2, start, chunk)))
          << chunk << ", " << start;
    }
  }
}

/// A running maximum that does not change must not change anything else: exp2(0) is exactly 1.
TYPED_TEST(SdpaBits, Rule13EqualScoresAverageExactly) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 1, .S = 256, .D = 0});
  for (std::size_t n = 0; n < inputs.v.values().size(); ++n) {
    inputs.v.values()[n] = element_cast<T>(n % 16 < 8 ? 1.0 : 3.0);
  }
  const auto result = this->attend(inputs);
  for (const T value : result.out.values()) {
    EXPECT_EQ(element_cast<double>(value), 2);
  }
  for (const auto weight : result.weights.values()) {
    EXPECT_EQ(weight, Accumulator<T>(0x1p-8));
  }
}

}  // namespace
}  // namespace attention::tests
