#include <string>

#include <attention/core/error.hpp>
#include <attention/nn/detail/attend.hpp>
#include <attention/nn/detail/keep_mask.hpp>
#include <attention/nn/scaled_dot_product_attention.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention::nn {
namespace {

/// (L, D), (B, L, D) or (B, H, L, D) as (B, H, L, D).
template <class T>
TensorView<T> with_heads(TensorView<T> view) {
  switch (view.rank()) {
    case 2:
      return view.unsqueeze(0).unsqueeze(0);
    case 3:
      return view.unsqueeze(1);
    default:
      return view;
  }
}

void check_module_shapes(TensorView<const float> query, TensorView<const float> key,
                         TensorView<const float> value) {
  const char* const function = "nn::ScaledDotProductAttention";
  const auto found = [&] {
    return "query " + to_string(query.shape()) + ", key " + to_string(key.shape()) + ", value " +
           to_string(value.shape());
  };
  const int rank = query.rank();
  require(rank >= 2 && rank <= 4 && key.rank() == rank && value.rank() == rank, function,
          "query, key and value must have one rank: (L, D), (B, L, D) or (B, H, L, D)", found);
  bool same = true;
  for (int dim = 0; dim < rank - 2; ++dim) {
    same = same && query.size(dim) == key.size(dim) && query.size(dim) == value.size(dim);
  }
  require(same, function, "query, key and value must have the same B and H", found);
  require(key.size(rank - 2) == value.size(rank - 2), function,
          "key and value must have one length S", found);
  require(query.size(rank - 1) == key.size(rank - 1), function,
          "query and key must have one head size D", found);
}

}  // namespace

AttentionOutput ScaledDotProductAttention::forward(TensorView<const float> query,
                                                   TensorView<const float> key,
                                                   TensorView<const float> value,
                                                   const AnyView& mask,
                                                   const ForwardOptions& options) const {
  check_module_shapes(query, key, value);
  const int rank = query.rank();
  Shape output = query.shape();
  output[rank - 1] = value.size(rank - 1);
  Shape weights = query.shape();
  weights[rank - 1] = key.size(rank - 2);
  AttentionOutput result{.output = Tensor<float>(output),
                         .attention_weights = Tensor<float>(weights)};
  const auto q = with_heads(query);
  const auto k = with_heads(key);
  const Tensor<bool> keep = detail::keep_mask("nn::ScaledDotProductAttention", mask,
                                              {q.size(0), q.size(1), q.size(2), k.size(2)});
  SdpaOptions sdpa_options{.scale = options.scale, .execution = options.execution};
  if (!keep.is_null()) {
    sdpa_options.mask = Mask::keep(keep);
  }
  detail::attend<float>({.out = with_heads(result.output.view()),
                         .weights = with_heads(result.attention_weights.view())},
                        {.q = q, .k = k, .v = with_heads(value)}, sdpa_options);
  return result;
}

}  // namespace attention::nn
