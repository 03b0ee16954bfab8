#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/random.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/ops/kv_cache.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>

#include "tests/ops/harness/counting_new.hpp"
#include "tests/ops/harness/every_path.hpp"

/// When memory runs out, whichever allocation it is that fails, a call throws std::bad_alloc and
/// leaves its objects as they were; the next call works. The forms that allocate nothing do not
/// notice. Each test is a process of its own under ctest, so that what is made once (the threads,
/// the list of instruction sets) fails here too.
namespace attention::tests {
namespace {

/// Makes call after call with the first, the second, ... allocation failing, until one makes fewer
/// allocations. `check` looks at what must not have changed. Returns how many failed.
long fail_each_allocation(const std::function<void()>& call, const std::function<void()>& check) {
  constexpr long kMost = 10000;
  for (long n = 1; n <= kMost; ++n) {
    bool threw = false;
    bool failed = false;
    {
      const FailingAllocation failing(n);
      try {
        call();
      } catch (const std::bad_alloc&) {
        threw = true;
      }
      failed = FailingAllocation::has_failed();
    }
    EXPECT_EQ(threw, failed) << "allocation " << n;
    if (!failed) {
      return n - 1;
    }
    check();
  }
  ADD_FAILURE() << "still failing after " << kMost;
  return kMost;
}

TEST(AllocationFailure, TheTestItselfSeesOne) {
  EXPECT_EQ(fail_each_allocation([] { const Tensor<float> tensor({3}); }, [] {}), 1);
  EXPECT_THROW(
      {
        const FailingAllocation failing(2);
        // (Calls of the function: a compiler may leave out a pair of expressions.)
        ::operator delete(::operator new(8));
        ::operator delete(::operator new(8));
      },
      std::bad_alloc);
}

struct SdpaProblemOf {
  std::string name;
  InputSizes sizes;
};

const std::vector<SdpaProblemOf>& problems() {
  static const std::vector<SdpaProblemOf> kProblems = {
      {"panels", {.B = 2, .H = 4, .Hkv = 2, .L = 40, .S = 70}},
      {"decoding", {.B = 2, .H = 4, .Hkv = 2, .L = 3, .S = 70}},
      {"decoding, keys split", {.H = 2, .Hkv = 1, .L = 1, .S = 3000}}};
  return kProblems;
}

template <class Setting>
class AllocationFailure : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(AllocationFailure, EveryPath, PathNames);

TYPED_TEST(AllocationFailure, Sdpa) {
  using T = typename TypeParam::Element;
  for (const auto& [name, sizes] : problems()) {
    SCOPED_TRACE(name);
    const auto inputs = random_inputs<T>(sizes);
    const Tensor<float> sinks({sizes.H});
    SdpaResult<T> result;
    const SdpaOptions options{.causal = true,
                              .alignment = Alignment::bottom_right(),
                              .sinks = sinks,
                              .return_weights = true,
                              .execution = {.path = TypeParam::kPath, .threads = 4}};
    const long failed =
        fail_each_allocation([&] { result = sdpa(inputs.q, inputs.k, inputs.v, options); },
                             [&] { EXPECT_TRUE(result.out.is_null()); });
    EXPECT_GE(failed, 3);  // out, lse, weights
    EXPECT_TRUE(same_bits(result, sdpa(inputs.q, inputs.k, inputs.v, options)));
  }
}

TYPED_TEST(AllocationFailure, Linear) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({6, 9, 40}, 1);
  const auto weight = random_tensor<T>({17, 40}, 2);
  const auto bias = random_tensor<T>({17}, 3);
  const Execution execution{.path = TypeParam::kPath, .threads = 4};
  Tensor<T> result;
  EXPECT_GE(
      fail_each_allocation([&] { result = linear(x, weight, bias, {.execution = execution}); },
                           [&] { EXPECT_TRUE(result.is_null()); }),
      1);
  EXPECT_TRUE(same_bits(result, linear(x, weight, bias, {.execution = execution})));
}

/// With the threads started, not one allocation: the first would fail.
TYPED_TEST(AllocationFailure, TheFormsIntoViewsDoNotNotice) {
  using T = typename TypeParam::Element;
  const Execution execution{.path = TypeParam::kPath, .threads = 4};
  const auto x = random_tensor<T>({60, 40}, 1);
  const auto weight = random_tensor<T>({17, 40}, 2);
  const auto affine = linear(x, weight, {}, {.execution = execution});
  Tensor<T> affine_into({60, 17});
  std::vector<std::byte> linear_workspace(linear_workspace_size(40, kDTypeOf<T>, execution));
  for (const auto& [name, sizes] : problems()) {
    SCOPED_TRACE(name);
    const auto inputs = random_inputs<T>(sizes);
    const auto expected = sdpa(inputs.q, inputs.k, inputs.v, {.execution = execution});
    Tensor<T> out(expected.out.shape());
    std::vector<std::byte> workspace(sdpa_workspace_size({.B = sizes.B,
                                                          .H = sizes.H,
                                                          .Hkv = sizes.Hkv,
                                                          .L = sizes.L,
                                                          .S = sizes.S,
                                                          .D = sizes.D,
                                                          .Dv = sizes.Dv,
                                                          .dtype = kDTypeOf<T>},
                                                         execution));
    {
      const FailingAllocation failing(1);
      sdpa_into({.out = out.view()}, inputs.q, inputs.k, inputs.v, {.execution = execution},
                workspace);
      linear_into(affine_into, x, weight, {}, {.execution = execution}, linear_workspace);
    }
    EXPECT_TRUE(same_bits(out, expected.out));
    EXPECT_TRUE(same_bits(affine_into, affine));
  }
}

TEST(AllocationFailureOfLayers, MultiHeadAttention) {
  random::Generator generator(1);
  const nn::MultiHeadAttention layer(
      {.embed_dim = 24, .num_heads = 4, .add_bias_kv = true, .add_zero_attn = true}, generator);
  const auto memory = random_tensor<float>({2, 40, 24}, 2);
  Tensor<bool> padding({2, 40});
  for (std::int64_t b = 0; b < 2; ++b) {
    padding(b, 39) = true;
  }
  for (const std::int64_t L : {1, 40}) {
    SCOPED_TRACE(L);
    const auto query = random_tensor<float>({2, L, 24}, 3);
    const nn::MultiHeadForwardOptions options{.key_padding_mask = Mask::block(padding),
                                              .causal = L == 40,
                                              .average_weights = true,
                                              .execution = {.threads = 3}};
    nn::AttentionOutput result;
    const long failed =
        fail_each_allocation([&] { result = layer.forward(query, memory, memory, options); },
                             [&] { EXPECT_TRUE(result.output.is_null()); });
    EXPECT_GE(failed, 6);  // q, k, v, joined, weights, output
    const auto again = layer.forward(query, memory, memory, options);
    EXPECT_TRUE(same_bits(result.output, again.output));
    EXPECT_TRUE(same_bits(result.attention_weights, again.attention_weights));
  }
}

/// Of a cache, what append and reserve must not touch when they fail.
template <class T>
struct CacheState {
  std::int64_t length;
  std::int64_t capacity;
  const T* place;
  Tensor<T> keys;
  Tensor<T> values;

  explicit CacheState(const KvCache<T>& cache)
      : length(cache.length()),
        capacity(cache.capacity()),
        place(cache.keys().data()),
        keys(Tensor<T>::copy_of(cache.keys())),
        values(Tensor<T>::copy_of(cache.values())) {}

  void expect_unchanged(const KvCache<T>& cache) const {
    EXPECT_EQ(cache.length(), length);
    EXPECT_EQ(cache.capacity(), capacity);
    EXPECT_EQ(cache.keys().data(), place);
    EXPECT_TRUE(same_bits<T>(cache.keys(), keys));
    EXPECT_TRUE(same_bits<T>(cache.values(), values));
  }
};

TEST(AllocationFailureOfCaches, AppendAndReserve) {
  using T = bfloat16;
  const auto k = random_tensor<float>({2, 3, 40, 5}, 1);
  const auto v = random_tensor<float>({2, 3, 40, 4}, 2);
  KvCache<T> expected({.B = 2, .Hkv = 3, .D = 5, .Dv = 4}, 100);
  KvCache<T> cache({.B = 2, .Hkv = 3, .D = 5, .Dv = 4});
  std::int64_t length = 0;
  for (const std::int64_t count : {3, 13, 1, 20}) {  // the first, the third and the fourth grow
    const auto more_k = k.view().slice(2, length, count);
    const auto more_v = v.view().slice(2, length, count);
    const CacheState<T> before(cache);
    const bool grows = length + count > cache.capacity();
    const long failed = fail_each_allocation([&] { cache.append(more_k, more_v); },
                                             [&] { before.expect_unchanged(cache); });
    EXPECT_EQ(failed > 0, grows) << length;
    expected.append(more_k, more_v);
    EXPECT_TRUE(same_bits<T>(cache.keys(), expected.keys()));
    EXPECT_TRUE(same_bits<T>(cache.values(), expected.values()));
    length += count;
  }
  const CacheState<T> before(cache);
  EXPECT_EQ(
      fail_each_allocation([&] { cache.reserve(1000); }, [&] { before.expect_unchanged(cache); }),
      2);
  EXPECT_EQ(cache.capacity(), 1000);
  EXPECT_TRUE(same_bits<T>(cache.keys(), expected.keys()));
}

}  // namespace
}  // namespace attention::tests
