#include <cstdint>

#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/core/random.hpp>
#include <attention/ops/kv_cache.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention::tests {
namespace {

constexpr KvCacheSize kSize = {.B = 2, .Hkv = 3, .D = 5, .Dv = 4};

Tensor<float> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<float> tensor(shape);
  random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

template <class T>
class KvCacheOf : public testing::Test {};
using Elements = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(KvCacheOf, Elements);

template <class T>
void expect_rounded(TensorView<const T> found, TensorView<const float> expected) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (std::int64_t b = 0; b < found.size(0); ++b) {
    for (std::int64_t h = 0; h < found.size(1); ++h) {
      for (std::int64_t n = 0; n < found.size(2); ++n) {
        for (std::int64_t d = 0; d < found.size(3); ++d) {
          EXPECT_EQ(static_cast<float>(found(b, h, n, d)),
                    static_cast<float>(element_cast<T>(expected(b, h, n, d))));
        }
      }
    }
  }
}

TYPED_TEST(KvCacheOf, HoldsWhatWasAppendedAcrossGrowth) {
  const Tensor<float> k = drawn({2, 3, 70, 5}, 1);
  const Tensor<float> v = drawn({2, 3, 70, 4}, 2);
  KvCache<TypeParam> cache(kSize);
  std::int64_t length = 0;
  for (const std::int64_t count : {1, 0, 1, 20, 1, 47}) {
    cache.append(k.view().slice(2, length, count), v.view().slice(2, length, count));
    length += count;
    ASSERT_EQ(cache.length(), length);
    ASSERT_GE(cache.capacity(), length);
    expect_rounded<TypeParam>(cache.keys(), k.view().slice(2, 0, length));
    expect_rounded<TypeParam>(cache.values(), v.view().slice(2, 0, length));
  }
}

TEST(KvCache, TakesAnyStrides) {
  const Tensor<float> k = drawn({2, 7, 3, 5}, 1);  // (B, L, H, D)
  const Tensor<float> v = drawn({2, 3, 4, 7}, 2);  // (B, H, D, L)
  KvCache<float> cache(kSize, 10);
  cache.append(k.view().transpose(1, 2), v.view().transpose(2, 3));
  expect_rounded<float>(cache.keys(), k.view().transpose(1, 2));
  expect_rounded<float>(cache.values(), v.view().transpose(2, 3));
}

TEST(KvCache, GrowsByDoublingAndKeepsItsPlaceWhileThereIsRoom) {
  const Tensor<float> k = drawn({2, 3, 1, 5}, 1);
  const Tensor<float> v = drawn({2, 3, 1, 4}, 2);
  KvCache<float> cache(kSize);
  int moves = 0;
  for (int step = 0; step < 1000; ++step) {
    const std::int64_t before = cache.capacity();
    const float* const place = cache.keys().data();
    cache.append(k, v);
    moves += cache.capacity() != before ? 1 : 0;
    if (cache.capacity() == before) {
      EXPECT_EQ(cache.keys().data(), place);
    }
  }
  EXPECT_LE(moves, 7);
}

TEST(KvCache, TakesViewsOfItself) {
  const Tensor<float> k = drawn({2, 3, 16, 5}, 1);
  const Tensor<float> v = drawn({2, 3, 16, 4}, 2);
  KvCache<float> cache(kSize);
  cache.append(k, v);
  ASSERT_EQ(cache.length(), cache.capacity());
  cache.append(cache.keys(), cache.values());
  expect_rounded<float>(cache.keys().slice(2, 16, 16), k);
  expect_rounded<float>(cache.values().slice(2, 0, 16), v);
}

TEST(KvCache, TruncatesAndAppendsAgain) {
  const Tensor<float> k = drawn({2, 3, 8, 5}, 1);
  const Tensor<float> v = drawn({2, 3, 8, 4}, 2);
  KvCache<float> cache(kSize, 8);
  cache.append(k, v);
  cache.truncate(3);
  EXPECT_EQ(cache.length(), 3);
  cache.append(k.view().slice(2, 3, 5), v.view().slice(2, 3, 5));
  expect_rounded<float>(cache.keys(), k);
}

TEST(KvCache, DecodingStepByStepEqualsTheWholeCausalPass) {
  constexpr std::int64_t kLength = 40;
  const Tensor<float> q = drawn({2, 6, kLength, 5}, 1);
  const Tensor<float> k = drawn({2, 3, kLength, 5}, 2);
  const Tensor<float> v = drawn({2, 3, kLength, 4}, 3);
  const auto whole = sdpa(q, k, v, {.causal = true});
  KvCache<float> cache(kSize);
  for (std::int64_t i = 0; i < kLength; ++i) {
    cache.append(k.view().slice(2, i, 1), v.view().slice(2, i, 1));
    const auto step = sdpa(q.view().slice(2, i, 1), cache.keys(), cache.values(),
                           {.causal = true, .alignment = Alignment::bottom_right()});
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t h = 0; h < 6; ++h) {
        for (std::int64_t d = 0; d < 4; ++d) {
          EXPECT_NEAR(step.out(b, h, 0, d), whole.out(b, h, i, d), 2e-6F) << i;
        }
      }
    }
  }
}

TEST(KvCache, AnEmptyOneGivesZeros) {
  const Tensor<float> q = drawn({2, 3, 1, 5}, 1);
  const KvCache<float> cache(kSize);
  const auto result = sdpa(q, cache.keys(), cache.values());
  for (const float x : result.out.values()) {
    EXPECT_EQ(x, 0.0F);
  }
}

template <class Call>
void expect_error(const Call& call, const char* function, const char* part) {
  try {
    call();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.function(), function);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(KvCache, ErrorsNameTheArgumentAndChangeNothing) {
  const Tensor<float> k = drawn({2, 3, 2, 5}, 1);
  const Tensor<float> v = drawn({2, 3, 2, 4}, 2);
  KvCache<float> cache(kSize);
  cache.append(k, v);
  const auto append = [&](const AnyView& its_k, const AnyView& its_v) {
    return [&cache, its_k, its_v] { cache.append(its_k, its_v); };
  };
  expect_error(append(v, v), "KvCache::append", "k must have the shape");
  expect_error(append(k, k), "KvCache::append", "v must have the shape");
  expect_error(append(k.view().select(0, 0), v), "KvCache::append", "k must have the shape");
  expect_error(append(k, v.view().slice(2, 0, 1)), "KvCache::append", "one number of positions");
  const Tensor<std::int32_t> integers({2, 3, 2, 5});
  expect_error(append(integers, v), "KvCache::append", "floating element type");
  expect_error([&] { cache.truncate(3); }, "KvCache::truncate", "found 3");
  expect_error([&] { cache.truncate(-1); }, "KvCache::truncate", "found -1");
  expect_error([&] { cache.reserve(-1); }, "KvCache::reserve", "found -1");
  expect_error([] { KvCache<float>({.B = -1}); }, "KvCache", "negative");
  EXPECT_EQ(cache.length(), 2);
  expect_rounded<float>(cache.keys(), k);
}

}  // namespace
}  // namespace attention::tests
