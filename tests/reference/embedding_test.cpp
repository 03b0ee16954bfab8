#include <cstdint>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/embedding.hpp>

namespace attention {
namespace {

using ::testing::ElementsAre;

TEST(ReferenceEmbedding, ByHand) {
  const Tensor<float> weight({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor<std::int64_t> indices({4}, {2, 0, 2, 1});
  Tensor<float> out({4, 2});
  reference::embedding<float>(out, indices, weight);
  EXPECT_THAT(out.values(), ElementsAre(5, 6, 1, 2, 5, 6, 3, 4));

  const Tensor<float> d_out({4, 2}, {1, 10, 2, 20, 4, 40, 8, 80});
  Tensor<float> d_weight({4, 2});
  reference::embedding_backward<float>(d_weight, d_out, indices);
  EXPECT_THAT(d_weight.values(), ElementsAre(2, 20, 8, 80, 5, 50, 0, 0));
  reference::embedding_backward<float>(d_weight, d_out, indices, 2);
  EXPECT_THAT(d_weight.values(), ElementsAre(2, 20, 8, 80, 0, 0, 0, 0));
}

TEST(ReferenceEmbedding, SumsAreRoundedOnce) {
  const Tensor<std::int64_t> indices({3}, {0, 0, 0});
  const Tensor<float> d_out({3, 1}, {0x1p24F, 1, 1});
  Tensor<float> d_weight({1, 1});
  reference::embedding_backward<float>(d_weight, d_out, indices);
  EXPECT_EQ(d_weight(0, 0), 0x1p24F + 2);
}

}  // namespace
}  // namespace attention
