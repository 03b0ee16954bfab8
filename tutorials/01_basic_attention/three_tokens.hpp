#pragma once

#include <attention/core/tensor.hpp>

/// The example of the tutorial: three tokens, "the cat sat", with features and projections small
/// enough for a pencil.
namespace tutorial {

struct ThreeTokens {
  // One row for each token.
  attention::Tensor<double> x = {{3, 4},
                                 {1, 0, 0, 0,    // the
                                  0, 1, 1, 0,    // cat
                                  0, 0, 1, 1}};  // sat
  // One row for each feature of a query, a key or a value, as torch.nn.Linear keeps its weight.
  attention::Tensor<double> w_q = {{2, 4}, {1, 0, 1, -1, 0, 1, 0, 1}};
  attention::Tensor<double> w_k = {{2, 4}, {1, 1, 0, 0, 0, 0, 1, 1}};
  attention::Tensor<double> w_v = {{2, 4}, {1, 0, 0, 2, 0, 1, 1, 0}};
};

}  // namespace tutorial
