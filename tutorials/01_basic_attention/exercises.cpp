// The solutions of the exercises of tutorial 01, each with a check. Run as a test; prints what it
// found.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include <attention/core/random.hpp>
#include <attention/io/npy.hpp>
#include <attention/nn/attention.hpp>
#include <attention/ops/sdpa.hpp>

#include "tutorials/01_basic_attention/naive.hpp"

namespace {

using attention::Tensor;

int failures = 0;

void check(bool holds, const std::string& what) {
  std::cout << (holds ? "ok      " : "FAILED  ") << what << "\n";
  failures += holds ? 0 : 1;
}

Tensor<double> drawn(const attention::Shape& shape, std::uint64_t seed) {
  attention::random::Generator generator(seed);
  Tensor<double> tensor(shape);
  attention::random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

tutorial::Matrix nested(const Tensor<double>& matrix) {
  tutorial::Matrix result;
  for (std::int64_t i = 0; i < matrix.size(0); ++i) {
    const double* row = matrix.data() + i * matrix.size(1);
    result.emplace_back(row, row + matrix.size(1));
  }
  return result;
}

bool near(double a, double b) {
  return std::abs(a - b) <= 1e-12;
}

// [exercise_1]
/// The ten lines, made safe and causal: the largest score is taken out, and query i stops at key i.
tutorial::Matrix causal_sdpa(const tutorial::Matrix& q, const tutorial::Matrix& k,
                             const tutorial::Matrix& v) {
  tutorial::Matrix out(q.size(), tutorial::Row(v[0].size()));
  for (std::size_t i = 0; i < q.size(); ++i) {
    const std::size_t visible = std::min(i + 1, k.size());
    tutorial::Row weights(visible);
    for (std::size_t j = 0; j < visible; ++j) {
      weights[j] = tutorial::dot(q[i], k[j]) / std::sqrt(static_cast<double>(q[i].size()));
    }
    const double largest = *std::ranges::max_element(weights);
    double sum = 0;
    for (double& weight : weights) {
      weight = std::exp(weight - largest);
      sum += weight;
    }
    for (std::size_t j = 0; j < visible; ++j) {
      for (std::size_t d = 0; d < out[i].size(); ++d) {
        out[i][d] += weights[j] / sum * v[j][d];
      }
    }
  }
  return out;
}
// [/exercise_1]

void exercise_1() {
  Tensor<double> q = drawn({5, 4}, 1);
  const Tensor<double> k = drawn({5, 4}, 2);
  const Tensor<double> v = drawn({5, 3}, 3);
  for (double& value : q.values()) {
    value *= 2000;  // the ten lines of the page overflow here
  }
  const tutorial::Matrix ours = causal_sdpa(nested(q), nested(k), nested(v));
  const auto batch = [](const Tensor<double>& m) { return m.view().unsqueeze(0).unsqueeze(0); };
  const auto library = attention::sdpa(batch(q), batch(k), batch(v), {.causal = true});
  bool same = true;
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t d = 0; d < 3; ++d) {
      same = same && near(ours[static_cast<std::size_t>(i)][static_cast<std::size_t>(d)],
                          library.out(0, 0, i, d));
    }
  }
  check(same, "1: the causal lines equal sdpa with .causal = true, for scores in the thousands");
}

// [exercise_2]
/// Attention does not know the order of its tokens: exchanging two exchanges their rows and their
/// columns.
bool permutes_with_its_tokens(const attention::nn::MultiHeadAttention& module,
                              const Tensor<float>& x) {
  Tensor<float> exchanged = x;
  for (std::int64_t feature = 0; feature < x.size(2); ++feature) {
    std::swap(exchanged(0, 1, feature), exchanged(0, 3, feature));
  }
  const auto before = module.forward(x, x, x).attention_weights;
  const auto after = module.forward(exchanged, exchanged, exchanged).attention_weights;
  const std::array<std::int64_t, 4> order = {0, 3, 2, 1};
  bool same = true;
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      const float moved =
          before(0, 0, order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
      same = same && std::abs(after(0, 0, i, j) - moved) < 1e-6F;
    }
  }
  return same;
}
// [/exercise_2]

void exercise_2() {
  attention::random::Generator generator(42);
  const attention::nn::MultiHeadAttention module(8, 1, generator);
  Tensor<float> x({1, 4, 8});
  attention::random::normal(x, 0.0, 1.0, generator);
  check(permutes_with_its_tokens(module, x),
        "2: exchanging two tokens exchanges their rows and columns");
}

// [exercise_3]
/// Adds a number to every element of the parameter `name`, and says whether the weights stay.
bool weights_ignore(const std::string& name, const Tensor<float>& x) {
  attention::random::Generator generator(42);
  attention::nn::MultiHeadAttention module(8, 1, generator);
  const auto before = module.forward(x, x, x).attention_weights;
  for (const auto& parameter : module.parameters()) {
    if (parameter.name == name) {
      for (std::int64_t i = 0; i < parameter.value.size(0); ++i) {
        parameter.value(i) += 3.0F;
      }
    }
  }
  const auto after = module.forward(x, x, x).attention_weights;
  bool same = true;
  for (std::int64_t cell = 0; cell < before.element_count(); ++cell) {
    same = same && std::abs(before.data()[cell] - after.data()[cell]) < 1e-5F;
  }
  return same;
}
// [/exercise_3]

void exercise_3() {
  attention::random::Generator generator(7);
  Tensor<float> x({1, 4, 8});
  attention::random::normal(x, 0.0, 1.0, generator);
  check(weights_ignore("W_k.bias", x), "3: W_k.bias never changes a weight");
  check(!weights_ignore("W_q.bias", x), "3: W_q.bias does");
}

// [exercise_4]
/// The variance of q . k for q and k with independent components of variance 1, from `pairs` draws.
double variance_of_scores(std::int64_t head_size, std::int64_t pairs) {
  const Tensor<double> q = drawn({pairs, head_size}, 1);
  const Tensor<double> k = drawn({pairs, head_size}, 2);
  double squares = 0;
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    double score = 0;
    for (std::int64_t d = 0; d < head_size; ++d) {
      score += q(pair, d) * k(pair, d);
    }
    squares += score * score / static_cast<double>(pairs);
  }
  return squares;
}
// [/exercise_4]

void exercise_4() {
  for (const std::int64_t head_size : {4, 64}) {
    const double variance = variance_of_scores(head_size, 20'000);
    const auto expected = static_cast<double>(head_size);
    check(std::abs(variance / expected - 1) < 0.05,
          "4: the variance of q . k for D = " + std::to_string(head_size) + " is near D");
  }
}

// [exercise_5]
/// Writes tokens of one's own, (L, E) = (3, 4), for: attention experiment --tokens FILE --labels
/// the,cat,sat
void write_tokens(const std::string& file) {
  const Tensor<float> tokens({3, 4}, {1, 0, 0, 0,    // the
                                      0, 1, 1, 0,    // cat
                                      0, 0, 1, 1});  // sat
  attention::io::write_npy(file, tokens);
}
// [/exercise_5]

void exercise_5(const std::string& file) {
  write_tokens(file);
  const attention::AnyTensor read = attention::io::read_npy(file);
  check(read.shape() == attention::Shape{3, 4} && read.as<float>()(1, 2) == 1.0F,
        "5: the tokens are in " + file);
}

}  // namespace

int main(int argc, char** argv) {
  exercise_1();
  exercise_2();
  exercise_3();
  exercise_4();
  exercise_5(argc > 1 ? argv[1] : "mine.npy");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
