#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/embedding.hpp>
#include <attention/reference/embedding.hpp>

#include "harness/every_path.hpp"
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using ::attention::test::message_of;

template <class T>
class Embedding : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Embedding, Types);

template <class I>
Tensor<I> random_indices(const Shape& shape, std::int64_t V, std::uint64_t seed) {
  Draws draws(seed);
  Tensor<I> indices(shape);
  for (I& index : indices.values()) {
    index = static_cast<I>(draws.below(V));
  }
  return indices;
}

template <class T>
TensorView<T> as_rows(Tensor<T>& tensor, std::int64_t rows, std::int64_t E) {
  return {tensor.data(), {rows, E}};
}

Shape with_last(Shape shape, std::int64_t extent) {
  shape.push_back(extent);
  return shape;
}

/// Both passes against the reference, in bits.
template <class T>
void expect_embedding(const Tensor<std::int64_t>& indices, std::int64_t V, std::int64_t E,
                      int threads) {
  const EmbeddingOptions options{.execution = {.threads = threads}};
  const std::int64_t N = indices.element_count();
  const TensorView<const std::int64_t> flat(indices.data(), {N});
  Tensor<std::int32_t> narrow(indices.shape());
  std::copy(indices.values().begin(), indices.values().end(), narrow.values().begin());
  const auto weight = random_tensor<T>({V, E}, 1);
  Tensor<T> expected(with_last(indices.shape(), E));
  reference::embedding<T>(as_rows(expected, N, E), flat, weight);
  EXPECT_TRUE(same_bits(embedding(indices, weight, options), expected));
  EXPECT_TRUE(same_bits(embedding(narrow, weight, options), expected));
  Tensor<T> out = Tensor<T>::filled(expected.shape(), 7);
  EXPECT_EQ(embedding_into(out, indices, weight, options), Path::reference);
  EXPECT_TRUE(same_bits(out, expected));

  auto d_out = random_tensor<T>(expected.shape(), 2);
  Tensor<T> d_weight({V, E});
  reference::embedding_backward<T>(d_weight, as_rows(d_out, N, E), flat);
  EXPECT_TRUE(same_bits(embedding_backward(d_out, indices, V, options), d_weight));
  EXPECT_TRUE(same_bits(embedding_backward(d_out, narrow, V, options), d_weight));
  Tensor<T> found = Tensor<T>::filled({V, E}, 7);
  std::vector<std::byte> workspace(embedding_backward_workspace_size(N, V) + 1);
  EXPECT_EQ(
      embedding_backward_into(found, d_out, indices, options, std::span(workspace).subspan(1)),
      Path::reference);
  EXPECT_TRUE(same_bits(found, d_weight));
}

TYPED_TEST(Embedding, EveryShapeOnAnyNumberOfThreads) {
  for (const int threads : {1, 2, 8}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{2, 0, 3},
                               Shape{1, 2, 1, 3, 2}}) {
      for (const std::int64_t E : {0, 1, 7, 8, 33, 129}) {
        SCOPED_TRACE(to_string(shape) + " " + std::to_string(E));
        expect_embedding<TypeParam>(random_indices<std::int64_t>(shape, 5, 3), 5, E, threads);
      }
    }
    expect_embedding<TypeParam>(random_indices<std::int64_t>({40, 9}, 300, 3), 300, 17, threads);
    expect_embedding<TypeParam>(random_indices<std::int64_t>({70}, 3, 3), 3, 520, threads);
    expect_embedding<TypeParam>(Tensor<std::int64_t>({0}), 0, 4, threads);
  }
}

TYPED_TEST(Embedding, AnyStrides) {
  using T = TypeParam;
  Draws draws(7);
  const auto any = [&] {
    return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                         Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
  };
  for (int run = 0; run < 60; ++run) {
    StridedBuffer<std::int64_t> indices({3, 5}, draws.chance(0.2) ? Arrangement::repeated : any(),
                                        draws, std::int64_t{-1});
    const TensorView<std::int64_t> index_view = indices.view();
    for_each_offset(
        index_view.shape(), [&](std::int64_t n) { index_view.data()[n] = draws.below(6); },
        index_view.strides());
    const auto input = [&](const Shape& shape) {
      StridedBuffer<T> buffer(shape, draws.chance(0.2) ? Arrangement::repeated : any(), draws,
                              element_cast<T>(NAN));
      const TensorView<T> view = buffer.view();
      for_each_offset(
          shape, [&](std::int64_t n) { view.data()[n] = element_cast<T>(draws.normal()); },
          view.strides());
      return buffer;
    };
    StridedBuffer<T> weight = input({6, 9});
    StridedBuffer<T> d_out = input({3, 5, 9});
    const auto dense_indices = Tensor<std::int64_t>::copy_of(indices.view());
    StridedBuffer<T> out({3, 5, 9}, any(), draws, element_cast<T>(NAN));
    embedding_into(out.view(), indices.view(), weight.view());
    EXPECT_TRUE(
        same_bits<T>(out.view(), embedding(dense_indices, Tensor<T>::copy_of(weight.view()))));
    EXPECT_TRUE(out.is_untouched_outside());
    StridedBuffer<T> d_weight({6, 9}, any(), draws, element_cast<T>(NAN));
    std::vector<std::byte> workspace(embedding_backward_workspace_size(15, 6));
    embedding_backward_into(d_weight.view(), d_out.view(), indices.view(), {}, workspace);
    EXPECT_TRUE(same_bits<T>(
        d_weight.view(), embedding_backward(Tensor<T>::copy_of(d_out.view()), dense_indices, 6)));
    EXPECT_TRUE(d_weight.is_untouched_outside());
  }
}

TYPED_TEST(Embedding, ThePaddingRowIsReadAndGetsNoGradient) {
  using T = TypeParam;
  const Tensor<std::int32_t> indices({5}, {1, 0, 1, 2, 0});
  const auto weight = random_tensor<T>({3, 4}, 1);
  auto d_out = random_tensor<T>({5, 4}, 2);
  const EmbeddingOptions options{.padding_index = 1};
  EXPECT_TRUE(same_bits(embedding(indices, weight, options), embedding(indices, weight)));
  Tensor<T> expected = embedding_backward(d_out, indices, 3);
  for (std::int64_t e = 0; e < 4; ++e) {
    expected(1, e) = 0;
    d_out(0, e) = static_cast<T>(NAN);  // at padding: not looked at
    d_out(2, e) = std::numeric_limits<T>::infinity();
  }
  EXPECT_TRUE(same_bits(embedding_backward(d_out, indices, 3, options), expected));
}

/// In float, adding 1 to 2^24 changes nothing.
TYPED_TEST(Embedding, RowsOfOneIndexAreSummedInDouble) {
  using T = TypeParam;
  const Tensor<std::int64_t> indices({3}, {0, 0, 0});
  const Tensor<T> d_out({3, 1}, {static_cast<T>(0x1p24), 1, 1});
  EXPECT_EQ(embedding_backward(d_out, indices, 1)(0, 0), static_cast<T>(0x1p24 + 2));
}

TYPED_TEST(Embedding, NaNStaysInItsRow) {
  using T = TypeParam;
  const Tensor<std::int64_t> indices({4}, {0, 2, 1, 2});
  auto d_out = random_tensor<T>({4, 3}, 2);
  d_out(2, 1) = static_cast<T>(NAN);
  const auto found = embedding_backward(d_out, indices, 4);
  for (std::int64_t v = 0; v < 4; ++v) {
    for (std::int64_t e = 0; e < 3; ++e) {
      EXPECT_EQ(std::isnan(found(v, e)), v == 1 && e == 1);
    }
  }
}

/// The sum of w embedding(indices, weight) by each element of weight.
TEST(EmbeddingGradient, EqualsCentralDifferences) {
  Draws draws(5);
  constexpr double kStep = 1e-6;
  for (std::uint64_t run = 0; run < 40; ++run) {
    const std::int64_t V = 1 + draws.below(5);
    const std::int64_t E = 1 + draws.below(3);
    const auto indices = random_indices<std::int64_t>({draws.below(3), 1 + draws.below(4)}, V, run);
    auto weight = random_tensor<double>({V, E}, 2 * run);
    const auto w = random_tensor<double>(with_last(indices.shape(), E), 2 * run + 1);
    const auto loss = [&] {
      const auto out = embedding(indices, weight);
      double sum = 0;
      for (std::size_t n = 0; n < out.values().size(); ++n) {
        sum += out.values()[n] * w.values()[n];
      }
      return sum;
    };
    const auto found = embedding_backward(w, indices, V);
    for (std::size_t n = 0; n < weight.values().size(); ++n) {
      const double before = weight.values()[n];
      weight.values()[n] = before + kStep;
      const double above = loss();
      weight.values()[n] = before - kStep;
      const double below = loss();
      weight.values()[n] = before;
      const double expected = (above - below) / (2 * kStep);
      EXPECT_NEAR(found.values()[n], expected, 1e-5 + 1e-3 * std::abs(expected));
    }
  }
}

TEST(EmbeddingErrors, NameTheFirstWrongIndexAndItsPosition) {
  const Tensor<float> weight({5, 3});
  const Tensor<float> d_out({2, 3, 3});
  const Tensor<std::int64_t> wrong({2, 3}, {0, 4, 1, 5, -1, 2});
  const std::string found = "indices must lie in [0, 5); found 5 at (1, 0)";
  Tensor<float> out = Tensor<float>::filled({2, 3, 3}, 7);
  EXPECT_EQ(message_of([&] { embedding(wrong, weight); }), "embedding: " + found);
  EXPECT_EQ(message_of([&] { embedding_into(out, wrong, weight); }), "embedding_into: " + found);
  EXPECT_EQ(message_of([&] { embedding_backward(d_out, wrong, 5); }),
            "embedding_backward: " + found);
  EXPECT_TRUE(same_bits(out, Tensor<float>::filled({2, 3, 3}, 7)));
  const Tensor<std::int32_t> negative(Shape{}, {-7});
  EXPECT_EQ(message_of([&] { embedding(negative, weight); }),
            "embedding: indices must lie in [0, 5); found -7 at ()");
  EXPECT_EQ(message_of([&] { embedding(Tensor<std::int64_t>({1}), Tensor<float>({0, 3})); }),
            "embedding: indices must lie in [0, 0); found 0 at (0,)");
}

TEST(EmbeddingErrors, NameTheFunctionTheRuleAndWhatWasFound) {
  const Tensor<float> weight({5, 3});
  const Tensor<std::int64_t> indices({2});
  const Tensor<float> d_out({2, 3});
  EXPECT_EQ(message_of([&] { embedding(Tensor<float>({2}), weight); }),
            "embedding: indices must have the element type int32 or int64; found float32");
  EXPECT_EQ(message_of([&] { embedding(AnyView(), weight); }),
            "embedding: indices must have the element type int32 or int64; found float32");
  EXPECT_EQ(message_of([&] { embedding(TensorView<const std::int64_t>(nullptr, {2}), weight); }),
            "embedding: indices must be given; found a null view of shape (2,)");
  EXPECT_EQ(message_of([&] { embedding(indices, d_out.view().unsqueeze(0)); }),
            "embedding: weight must have the shape (V, E); found (1, 2, 3)");
  EXPECT_EQ(message_of([&] { embedding(indices, TensorView<const float>(nullptr, {5, 3})); }),
            "embedding: weight must be given; found a null view of shape (5, 3)");
  EXPECT_EQ(message_of([&] { embedding(Tensor<std::int64_t>({1, 1, 1, 1, 1, 1}), weight); }),
            "embedding: indices must have rank 5 at most; found (1, 1, 1, 1, 1, 1)");
  EXPECT_EQ(message_of([&] { embedding(indices, weight, {.padding_index = 5}); }),
            "embedding: padding_index must lie in [0, 5); found 5");
  EXPECT_EQ(message_of([&] { embedding_backward(d_out, indices, 5, {.padding_index = -1}); }),
            "embedding_backward: padding_index must lie in [0, 5); found -1");
  EXPECT_EQ(message_of([&] { embedding_backward(d_out, indices, -1); }),
            "embedding_backward: V must not be negative; found -1");
  EXPECT_EQ(
      message_of([&] { embedding_backward(weight, indices, 5); }),
      "embedding_backward: d_out must have the shape of indices and one dimension more; found "
      "d_out (5, 3), indices (2,)");
  EXPECT_NE(message_of([&] { embedding_backward(d_out.view().select(0, 0), indices, 5); }),
            "no error");
  const EmbeddingOptions fused{.execution = {.path = Path::fused}};
  EXPECT_EQ(message_of([&] { embedding(indices, weight, fused); }),
            "embedding: the path must serve the element type; for float32 there are: reference; "
            "found fused");
  EXPECT_NE(message_of([&] { embedding_backward(d_out, indices, 5, fused); }), "no error");
  EXPECT_NE(message_of([] { embedding_backward_workspace_size(-1, 3); }), "no error");
  EXPECT_NE(message_of([] { embedding_backward_workspace_size(3, -1); }), "no error");
}

TEST(EmbeddingErrors, Outputs) {
  Tensor<float> pool({64});
  const TensorView<const float> weight(pool.data(), {5, 3});
  const Tensor<std::int64_t> indices({2});
  const auto at = [&](std::int64_t start, const Shape& shape) {
    return TensorView<float>(pool.data() + start, shape);
  };
  EXPECT_EQ(message_of([&] { embedding_into(at(20, {3, 2}), indices, weight); }),
            "embedding_into: out must have the shape (2, 3); found (3, 2)");
  EXPECT_EQ(message_of([&] { embedding_into(at(14, {2, 3}), indices, weight); }),
            "embedding_into: out must not overlap an input; found views that share memory");
  EXPECT_NE(message_of([&] {
              embedding_into({pool.data() + 20, Layout{.shape = {2, 3}, .strides = {0, 1}}},
                             indices, weight);
            }),
            "no error");
  EXPECT_EQ(message_of([&] { embedding_into(at(15, {2, 3}), indices, weight); }), "no error");

  const TensorView<const float> d_out(pool.data(), {2, 3});
  std::vector<std::byte> workspace(embedding_backward_workspace_size(2, 5));
  const auto back = [&](TensorView<float> d_weight, std::span<std::byte> scratch) {
    return message_of([&] { embedding_backward_into(d_weight, d_out, indices, {}, scratch); });
  };
  EXPECT_EQ(back(at(20, {5}), workspace),
            "embedding_backward_into: d_weight must have the shape (V, E); found (5,)");
  EXPECT_EQ(
      back(at(20, {5, 4}), workspace),
      "embedding_backward_into: d_weight and d_out must have one extent E; found d_weight (5, "
      "4), d_out (2, 3)");
  EXPECT_EQ(back(at(5, {5, 3}), workspace),
            "embedding_backward_into: d_weight must not overlap an input; found views that share "
            "memory");
  EXPECT_NE(back({pool.data() + 20, Layout{.shape = {5, 3}, .strides = {0, 1}}}, workspace),
            "no error");
  EXPECT_NE(back(at(20, {5, 3}), std::span(workspace).subspan(1)).find("bytes where"),
            std::string::npos);
  EXPECT_EQ(back(at(20, {5, 3}), workspace), "no error");
}

}  // namespace
}  // namespace attention::tests
