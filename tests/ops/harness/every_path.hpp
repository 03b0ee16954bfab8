#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/ops/sdpa.hpp>

#include "draws.hpp"

namespace attention::tests {

/// An element type and a path that serves it.
template <class T, Path TakenPath>
struct On {
  using Element = T;
  static constexpr Path kPath = TakenPath;
};

using EveryPath =
    ::testing::Types<On<float, Path::fused>, On<float16, Path::fused>, On<bfloat16, Path::fused>,
                     On<float, Path::reference>, On<double, Path::reference>,
                     On<float16, Path::reference>, On<bfloat16, Path::reference>>;

/// The same of operations whose fused path serves float alone.
using EveryPathFusedInFloat =
    ::testing::Types<On<float, Path::fused>, On<float, Path::reference>,
                     On<double, Path::reference>, On<float16, Path::reference>,
                     On<bfloat16, Path::reference>>;

/// And that do not serve the 16-bit types.
using EveryPathOfFloatAndDouble =
    ::testing::Types<On<float, Path::fused>, On<float, Path::reference>,
                     On<double, Path::reference>>;

/// "fused_float32" as the suffix of a typed test.
struct PathNames {
  template <class Setting>
  static std::string GetName(int /*index*/) {  // NOLINT(readability-identifier-naming): GoogleTest
    return std::string(name_of(Setting::kPath)) + "_" +
           std::string(name_of(kDTypeOf<typename Setting::Element>));
  }
};

/// A tensor of normal draws.
template <class T>
Tensor<T> random_tensor(const Shape& shape, std::uint64_t seed) {
  Draws draws(seed);
  Tensor<T> result(shape);
  std::generate(result.values().begin(), result.values().end(),
                [&] { return element_cast<T>(draws.normal()); });
  return result;
}

template <class T>
std::vector<T> elements_of(TensorView<const T> view) {
  const Tensor<T> dense = Tensor<T>::copy_of(view);
  return {dense.values().begin(), dense.values().end()};
}

/// True when shapes and bits are the same, wherever the elements lie, or both are not given.
template <class T>
bool same_bits(TensorView<const T> a, TensorView<const T> b) {
  if (a.is_null() || b.is_null()) {
    return a.is_null() && b.is_null();
  }
  const std::vector<T> left = elements_of(a);
  const std::vector<T> right = elements_of(b);
  return a.shape() == b.shape() &&
         std::ranges::equal(std::as_bytes(std::span(left)), std::as_bytes(std::span(right)));
}

template <class T>
bool same_bits(const Tensor<T>& a, const Tensor<T>& b) {
  return same_bits<T>(a.view(), b.view());
}

/// Out, lse and weights of two results.
template <class T>
bool same_bits(const SdpaResult<T>& a, const SdpaResult<T>& b) {
  return same_bits(a.out, b.out) && same_bits(a.lse, b.lse) && same_bits(a.weights, b.weights);
}

/// The largest difference between two tensors of one shape; infinity where one is not finite.
template <class A, class B>
double largest_difference(const Tensor<A>& a, const Tensor<B>& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double largest = 0;
  for (std::size_t n = 0; n < a.values().size(); ++n) {
    const double difference =
        element_cast<double>(a.values()[n]) - element_cast<double>(b.values()[n]);
    largest = std::isfinite(difference) ? std::max(largest, std::abs(difference)) : HUGE_VAL;
  }
  return largest;
}

/// What one rounding to T, and float32 arithmetic before it, may cost numbers of about 1.
template <class T>
double tolerance() {
  switch (kDTypeOf<T>) {
    case DType::float16:
      return 0x1p-9;
    case DType::bfloat16:
      return 0x1p-6;
    case DType::float32:
      return 0x1p-18;
    default:
      return 0x1p-46;
  }
}

/// The rows of head (b, h) as text, one character a key: '1' where the weight is not 0.
template <class T>
std::vector<std::string> seen_keys(const SdpaResult<T>& result, std::int64_t b = 0,
                                   std::int64_t h = 0) {
  std::vector<std::string> rows;
  for (std::int64_t i = 0; i < result.weights.size(2); ++i) {
    std::string row;
    for (std::int64_t j = 0; j < result.weights.size(3); ++j) {
      row += result.weights(b, h, i, j) != 0 ? '1' : '0';
    }
    rows.push_back(row);
  }
  return rows;
}

/// Queries, keys and values of one problem.
template <class T>
struct Inputs {
  Tensor<T> q;
  Tensor<T> k;
  Tensor<T> v;
};

struct InputSizes {
  std::int64_t B = 1;
  std::int64_t H = 1;
  std::int64_t Hkv = 1;
  std::int64_t L = 1;
  std::int64_t S = 1;
  std::int64_t D = 8;
  std::int64_t Dv = 8;
};

template <class T>
Inputs<T> random_inputs(const InputSizes& sizes, std::uint64_t seed = 1) {
  return {.q = random_tensor<T>({sizes.B, sizes.H, sizes.L, sizes.D}, 3 * seed),
          .k = random_tensor<T>({sizes.B, sizes.Hkv, sizes.S, sizes.D}, 3 * seed + 1),
          .v = random_tensor<T>({sizes.B, sizes.Hkv, sizes.S, sizes.Dv}, 3 * seed + 2)};
}

/// A test of one rule of sdpa on one path and element type.
template <class Setting>
class OnEveryPath : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  /// sdpa on the path of this test, with the weights.
  static SdpaResult<Element> attend(TensorView<const Element> q, TensorView<const Element> k,
                                    TensorView<const Element> v, SdpaOptions options = {}) {
    options.execution.path = Setting::kPath;
    options.return_weights = true;
    return sdpa(q, k, v, options);
  }
  static SdpaResult<Element> attend(const Inputs<Element>& inputs,
                                    const SdpaOptions& options = {}) {
    return attend(inputs.q, inputs.k, inputs.v, options);
  }
};

}  // namespace attention::tests
