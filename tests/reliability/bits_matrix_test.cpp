#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/random.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/ops/activation.hpp>
#include <attention/ops/layer_norm.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/rms_norm.hpp>
#include <attention/ops/sdpa.hpp>
#include <attention/ops/softmax.hpp>

#include "tests/ops/harness/every_isa.hpp"
#include "tests/ops/harness/every_path.hpp"

/// docs/semantics.md, rule 13, as a matrix: on each instruction set, each operation gives the same
/// bits for any number of threads, alone or in a batch, wherever its buffers begin. Each result is
/// compared byte by byte with that of one thread, alone, aligned; the matrix is printed.
namespace attention::tests {
namespace {

/// How a call is varied.
struct Variation {
  Execution execution;
  /// The entry alone, or among others in a batch.
  bool in_batch = false;
  /// Elements between the beginning of each buffer and an aligned address.
  std::int64_t shift = 0;
};

using Bytes = std::vector<std::byte>;

struct Operation {
  std::string name;
  std::function<Bytes(const Variation&)> run;
};

/// A tensor in a buffer that begins elsewhere.
template <class T>
class Shifted {
 public:
  Shifted(const Shape& shape, std::int64_t shift)
      : buffer_({element_count(shape) + shift}), shape_(shape), shift_(shift) {}
  Shifted(TensorView<const T> source, std::int64_t shift) : Shifted(source.shape(), shift) {
    const auto copy = [&](std::int64_t to, std::int64_t from) {
      view().data()[to] = source.data()[from];
    };
    for_each_offset(shape_, copy, view().strides(), source.strides());
  }
  TensorView<T> view() { return {buffer_.data() + shift_, shape_}; }

 private:
  Tensor<T> buffer_;
  Shape shape_;
  std::int64_t shift_;
};

template <class T>
void append(Bytes& bytes, TensorView<const T> view) {
  const std::vector<T> elements = elements_of(view);
  const auto raw = std::as_bytes(std::span(elements));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

/// Where the entry lies that is looked at: alone, or among five.
constexpr std::int64_t kBatch = 5;
constexpr std::int64_t kEntry = 3;

template <class T>
TensorView<const T> chosen(const Tensor<T>& batch, const Variation& variation) {
  return variation.in_batch ? batch.view() : batch.view().slice(0, kEntry, 1);
}
template <class T>
TensorView<const T> entry_of(TensorView<const T> view, const Variation& variation) {
  return variation.in_batch ? view.slice(0, kEntry, 1) : view;
}

template <class T>
Bytes run_sdpa(const Inputs<T>& inputs, const Variation& variation) {
  using Real = Accumulator<T>;
  Shifted<T> q(chosen(inputs.q, variation), variation.shift);
  Shifted<T> k(chosen(inputs.k, variation), variation.shift + 1);
  Shifted<T> v(chosen(inputs.v, variation), variation.shift + 2);
  const Shape sizes = q.view().shape();
  const std::int64_t S = k.view().size(2);
  const std::int64_t Dv = v.view().size(3);
  Shifted<T> out({sizes[0], sizes[1], sizes[2], Dv}, variation.shift);
  Shifted<Real> lse({sizes[0], sizes[1], sizes[2]}, variation.shift);
  Shifted<Real> weights({sizes[0], sizes[1], sizes[2], S}, variation.shift);
  const auto bytes = static_cast<std::int64_t>(sdpa_workspace_size({.B = sizes[0],
                                                                    .H = sizes[1],
                                                                    .Hkv = k.view().size(1),
                                                                    .L = sizes[2],
                                                                    .S = S,
                                                                    .D = sizes[3],
                                                                    .Dv = Dv,
                                                                    .dtype = kDTypeOf<T>},
                                                                   variation.execution));
  Shifted<std::uint8_t> workspace({bytes}, variation.shift);
  sdpa_into(
      {.out = out.view(), .lse = lse.view(), .weights = weights.view()}, q.view(), k.view(),
      v.view(),
      {.causal = true, .alignment = Alignment::bottom_right(), .execution = variation.execution},
      std::as_writable_bytes(std::span(workspace.view().data(), static_cast<std::size_t>(bytes))));
  Bytes result;
  append<T>(result, entry_of<T>(out.view(), variation));
  append<Real>(result, entry_of<Real>(lse.view(), variation));
  append<Real>(result, entry_of<Real>(weights.view(), variation));
  return result;
}

template <class T>
Operation sdpa_operation(const std::string& name, InputSizes sizes) {
  sizes.B = kBatch;
  return {name + ", " + std::string(name_of(kDTypeOf<T>)),
          [inputs = random_inputs<T>(sizes)](const Variation& variation) {
            return run_sdpa(inputs, variation);
          }};
}

template <class T>
Operation linear_operation(std::int64_t rows, std::int64_t I, std::int64_t O) {
  const std::string name =
      "linear, " + std::to_string(rows) + " rows, " + std::string(name_of(kDTypeOf<T>));
  return {name,
          [=, x = random_tensor<T>({kBatch, rows, I}, 1), weight = random_tensor<T>({O, I}, 2),
           bias = random_tensor<T>({O}, 3)](const Variation& variation) {
            Shifted<T> shifted_x(chosen(x, variation), variation.shift);
            Shifted<T> shifted_weight(weight.view(), variation.shift + 1);
            Shifted<T> shifted_bias(bias.view(), variation.shift + 2);
            Shifted<T> out({shifted_x.view().size(0), rows, O}, variation.shift);
            std::vector<std::byte> workspace(
                linear_workspace_size(I, kDTypeOf<T>, variation.execution) + 1);
            linear_into(out.view(), shifted_x.view(), shifted_weight.view(), shifted_bias.view(),
                        {.execution = variation.execution},
                        std::span(workspace).subspan(variation.shift == 0 ? 0 : 1));
            Bytes result;
            append<T>(result, entry_of<T>(out.view(), variation));
            return result;
          }};
}

/// Forward, and the gradient in the place of that of the output.
Operation softmax_operation(std::int64_t S) {
  return {"softmax and its gradient, S " + std::to_string(S),
          [x = random_tensor<float>({kBatch, 40, S}, 1),
           d_out = random_tensor<float>({kBatch, 40, S}, 2)](const Variation& variation) {
            Shifted<float> shifted_x(chosen(x, variation), variation.shift);
            Shifted<float> d_x(chosen(d_out, variation), variation.shift + 1);
            Shifted<float> out(shifted_x.view().shape(), variation.shift + 2);
            softmax_into(out.view(), shifted_x.view(), variation.execution);
            softmax_backward_into(d_x.view(), d_x.view(), out.view(), variation.execution);
            Bytes result;
            append<float>(result, entry_of<float>(out.view(), variation));
            append<float>(result, entry_of<float>(d_x.view(), variation));
            return result;
          }};
}

Operation activation_operation(Activation each) {
  return {std::string(name_of(each)) + " and its gradient",
          [=, x = random_tensor<float>({kBatch, 90, 100}, 1),
           d_out = random_tensor<float>({kBatch, 90, 100}, 2)](const Variation& variation) {
            const ActivationOptions options{.activation = each, .execution = variation.execution};
            Shifted<float> shifted_x(chosen(x, variation), variation.shift);
            Shifted<float> d_x(chosen(d_out, variation), variation.shift + 1);
            Shifted<float> out(shifted_x.view().shape(), variation.shift + 2);
            activation_into(out.view(), shifted_x.view(), options);
            activation_backward_into(d_x.view(), d_x.view(), shifted_x.view(), options);
            Bytes result;
            append<float>(result, entry_of<float>(out.view(), variation));
            append<float>(result, entry_of<float>(d_x.view(), variation));
            return result;
          }};
}

Operation multi_head_operation(std::int64_t L, std::int64_t S) {
  random::Generator generator(1);
  return {"MultiHeadAttention, L " + std::to_string(L) + ", S " + std::to_string(S),
          [layer = nn::MultiHeadAttention(40, 4, generator),
           query = random_tensor<float>({kBatch, L, 40}, 2),
           memory = random_tensor<float>({kBatch, S, 40}, 3)](const Variation& variation) {
            Shifted<float> shifted_query(chosen(query, variation), variation.shift);
            Shifted<float> shifted_memory(chosen(memory, variation), variation.shift + 1);
            const auto found =
                layer.forward(shifted_query.view(), shifted_memory.view(), shifted_memory.view(),
                              nn::MultiHeadForwardOptions{.execution = variation.execution});
            Bytes result;
            append<float>(result, entry_of<float>(found.output.view(), variation));
            append<float>(result, entry_of<float>(found.attention_weights.view(), variation));
            return result;
          }};
}

/// What belongs to the rows; the gradients of weight and bias are sums over all of a batch.
Operation norms_operation(std::int64_t rows, std::int64_t E) {
  return {"layer_norm and rms_norm, E " + std::to_string(E),
          [=, x = random_tensor<float>({kBatch, rows, E}, 1),
           d_out = random_tensor<float>({kBatch, rows, E}, 2),
           weight = random_tensor<float>({E}, 3)](const Variation& variation) {
            Shifted<float> shifted_x(chosen(x, variation), variation.shift);
            Shifted<float> shifted_d_out(chosen(d_out, variation), variation.shift + 1);
            Shifted<float> w(weight.view(), variation.shift + 2);
            const NormOptions options{.execution = variation.execution};
            const auto layer = layer_norm(shifted_x.view(), w.view(), w.view(), options);
            const auto layer_back =
                layer_norm_backward(shifted_d_out.view(), shifted_x.view(), w.view(),
                                    {.mean = layer.mean, .rstd = layer.rstd}, options);
            const auto rms = rms_norm(shifted_x.view(), w.view(), options);
            const auto rms_back = rms_norm_backward(shifted_d_out.view(), shifted_x.view(),
                                                    w.view(), {.rstd = rms.rstd}, options);
            Bytes result;
            for (const Tensor<float>* found : {&layer.out, &layer.mean, &layer.rstd, &layer_back.x,
                                               &rms.out, &rms.rstd, &rms_back.x}) {
              append<float>(result, entry_of<float>(found->view(), variation));
            }
            return result;
          }};
}

template <class T>
void add_operations(std::vector<Operation>& all) {
  all.push_back(sdpa_operation<T>("sdpa, panels (L 70, S 300)",
                                  {.H = 4, .Hkv = 2, .L = 70, .S = 300, .D = 40, .Dv = 24}));
  all.push_back(sdpa_operation<T>("sdpa, decoding (L 3, S 100)",
                                  {.H = 4, .Hkv = 2, .L = 3, .S = 100, .D = 40, .Dv = 24}));
  // Two heads of keys: shared out among 2 threads and more when alone, among 3 and more in the
  // batch.
  all.push_back(sdpa_operation<T>("sdpa, decoding (L 1, S 3000)",
                                  {.H = 4, .Hkv = 2, .L = 1, .S = 3000, .D = 40, .Dv = 24}));
  all.push_back(linear_operation<T>(1, 130, 70));
  all.push_back(linear_operation<T>(37, 130, 70));
}

std::vector<Operation> operations() {
  std::vector<Operation> all;
  add_operations<float>(all);
  if (kOneOf == 1) {
    add_operations<float16>(all);
    add_operations<bfloat16>(all);
  }
  for (const std::int64_t S : {13, 300}) {
    all.push_back(softmax_operation(S));
  }
  for (const Activation each :
       {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
    all.push_back(activation_operation(each));
  }
  all.push_back(norms_operation(37, 130));
  all.push_back(norms_operation(3, 2000));
  all.push_back(multi_head_operation(40, 40));
  all.push_back(multi_head_operation(1, 700));
  return all;
}

class BitsMatrix : public OnEveryIsa {};

TEST_P(BitsMatrix, Rule13ThreadsTimesBatchTimesAlignment) {
  struct Column {
    const char* name;
    bool in_batch;
    std::int64_t shift;
  };
  constexpr std::array<Column, 6> kColumns = {{{"alone", false, 0},
                                               {"alone +1", false, 1},
                                               {"alone +7", false, 7},
                                               {"batch", true, 0},
                                               {"batch +1", true, 1},
                                               {"batch +7", true, 7}}};
  const std::string isa(name_of(GetParam()));
  std::printf("%-9s %-40s %-8s", "isa", "operation", "threads");
  for (const Column& column : kColumns) {
    std::printf(" %-9s", column.name);
  }
  std::printf("\n");
  for (const Operation& operation : operations()) {
    const auto execution = [&](int threads) {
      return Execution{.path = Path::fused, .isa = GetParam(), .threads = threads};
    };
    const Bytes expected = operation.run({.execution = execution(1)});
    for (const int threads : {1, 2, 3, 8}) {
      std::printf("%-9s %-40s %-8d", isa.c_str(), operation.name.c_str(), threads);
      for (const Column& column : kColumns) {
        const Bytes found = operation.run(
            {.execution = execution(threads), .in_batch = column.in_batch, .shift = column.shift});
        const bool same = std::ranges::equal(found, expected);
        std::printf(" %-9s", same ? "same" : "DIFFERENT");
        EXPECT_TRUE(same) << operation.name << ", threads " << threads << ", " << column.name;
      }
      std::printf("\n");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, BitsMatrix, ::testing::ValuesIn(kIsasWithKernels), name_of_isa);

}  // namespace
}  // namespace attention::tests
