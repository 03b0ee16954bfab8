#include "bench/sdpa_call.hpp"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <attention/core/half.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>
#include <attention/ops/sdpa.hpp>

#include "bench/drawn.hpp"

namespace attention::bench {
namespace {

template <class T>
Tensor<T> drawn_as(const Shape& shape, std::uint64_t seed) {
  if constexpr (std::is_same_v<T, float>) {
    return drawn(shape, seed);
  } else {
    return converted<T>(drawn(shape, seed));
  }
}

/// (L, S), true: seen.
Tensor<bool> document_mask(std::int64_t L, std::int64_t S) {
  Tensor<bool> mask({L, S});
  for (std::int64_t i = 0; i < L; ++i) {
    for (std::int64_t j = 0; j < S; ++j) {
      mask(i, j) = i / kDocument == j / kDocument;
    }
  }
  return mask;
}

Tensor<bool> random_mask(std::int64_t L, std::int64_t S) {
  random::Generator generator(4);
  Tensor<bool> mask({L, S});
  for (bool& seen : mask.values()) {
    seen = generator.next_u32() % 2 == 1;
  }
  return mask;
}

/// The tensors of one problem, and the call on them.
template <class T>
struct Problem {
  Tensor<T> q;
  /// Keys and values in one piece of memory, as what they are compared with is read.
  Tensor<T> keys_and_values;
  Tensor<T> out;
  Tensor<bool> mask;
  Tensor<std::int64_t> key_lengths;
  SdpaOptions options;
  TensorView<const T> k;
  TensorView<const T> v;
  std::vector<std::byte> workspace;

  explicit Problem(const SdpaShape& shape);
  void call() { sdpa_into({.out = out}, q, k, v, options, workspace); }
};

Execution execution_of(const SdpaShape& shape) {
  return {.isa = shape.isa, .threads = shape.threads};
}

template <class T>
Problem<T>::Problem(const SdpaShape& shape)
    : q(drawn_as<T>({1, shape.H, shape.L, shape.D}, 1)),
      keys_and_values(drawn_as<T>({shape.Hkv * shape.keys() * (shape.D + shape.value_size())}, 2)),
      // Filled, so that its pages are in use before the first call.
      out(Tensor<T>::filled({1, shape.H, shape.L, shape.value_size()}, T())),
      options({.execution = execution_of(shape)}),
      workspace(workspace_of(shape)) {
  const std::int64_t S = shape.keys();
  const T* const memory = keys_and_values.data();
  k = {memory, {1, shape.Hkv, S, shape.D}};
  v = {memory + shape.Hkv * S * shape.D, {1, shape.Hkv, S, shape.value_size()}};
  switch (shape.rule) {
    case Rule::all:
      break;
    case Rule::causal:
      options.causal = true;
      break;
    case Rule::window:
      options.window = {.left = kWindow, .right = kWindow};
      break;
    case Rule::half_of_keys:
      key_lengths = Tensor<std::int64_t>({1}, {S / 2});
      options.key_lengths = key_lengths;
      break;
    case Rule::documents:
      mask = document_mask(shape.L, S);
      options.mask = Mask::keep(mask);
      break;
    case Rule::random_mask:
      mask = random_mask(shape.L, S);
      options.mask = Mask::keep(mask);
      break;
  }
}

template <class T>
SdpaCall typed_call(const SdpaShape& shape) {
  const auto problem = std::make_shared<Problem<T>>(shape);
  return {.call = [problem] { problem->call(); },
          .keys_and_values = std::as_bytes(std::as_const(problem->keys_and_values).values())};
}

}  // namespace

double visible_cells(const SdpaShape& shape) {
  const std::int64_t L = shape.L;
  const std::int64_t S = shape.keys();
  std::int64_t cells = 0;
  switch (shape.rule) {
    case Rule::all:
    case Rule::random_mask:
      cells = L * S;
      break;
    case Rule::causal:
      cells = L * (L + 1) / 2;
      break;
    case Rule::window:
      // The two corners lack a triangle of keys each.
      cells = L * (2 * kWindow + 1) - kWindow * (kWindow + 1);
      break;
    case Rule::half_of_keys:
      cells = L * (S / 2);
      break;
    case Rule::documents:
      cells = L * kDocument;
      break;
  }
  return static_cast<double>(shape.H * cells);
}

double operations_of(const SdpaShape& shape) {
  return 2.0 * visible_cells(shape) * static_cast<double>(shape.D + shape.value_size());
}

std::size_t workspace_of(const SdpaShape& shape) {
  return sdpa_workspace_size({.H = shape.H,
                              .Hkv = shape.Hkv,
                              .L = shape.L,
                              .S = shape.keys(),
                              .D = shape.D,
                              .Dv = shape.value_size(),
                              .dtype = shape.dtype},
                             execution_of(shape));
}

SdpaCall sdpa_call(const SdpaShape& shape) {
  return shape.dtype == DType::bfloat16 ? typed_call<bfloat16>(shape) : typed_call<float>(shape);
}

}  // namespace attention::bench
