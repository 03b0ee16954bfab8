#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/nn/attention.hpp>
#include <attention/nn/detail/keep_mask.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention::nn {
namespace {

/// Queries, keys and values as (B, H, ., .).
struct Heads {
  TensorView<const float> q;
  TensorView<const float> k;
  TensorView<const float> v;
};

/// The modules' way into sdpa: the mask in the modules' form.
void attend(const char* function, const SdpaOutputs<float>& outputs, const Heads& heads,
            const AnyView& mask, const ForwardOptions& options) {
  const auto& [q, k, v] = heads;
  const Tensor<bool> keep =
      detail::keep_mask(function, mask, {q.size(0), q.size(1), q.size(2), k.size(2)});
  SdpaOptions sdpa_options{.scale = options.scale, .execution = options.execution};
  if (!keep.is_null()) {
    sdpa_options.mask = Mask::keep(keep);
  }
  const SdpaSize size{.B = q.size(0),
                      .H = q.size(1),
                      .Hkv = k.size(1),
                      .L = q.size(2),
                      .S = k.size(2),
                      .D = q.size(3),
                      .Dv = v.size(3)};
  std::vector<std::byte> workspace(sdpa_workspace_size(size, options.execution));
  sdpa_into(outputs, q, k, v, sdpa_options, workspace);
}

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

/// (B, L, E) as (B, H, L, E / H).
template <class T>
TensorView<T> split_heads(TensorView<T> view, std::int64_t heads) {
  return view.split(2, heads).transpose(1, 2);
}

/// The number of heads of options that are checked.
std::int64_t checked_heads(const MultiHeadAttentionOptions& options) {
  const char* const function = "nn::MultiHeadAttention";
  const auto found = [&] {
    return "embed_dim " + std::to_string(options.embed_dim) + ", num_heads " +
           std::to_string(options.num_heads);
  };
  require(options.embed_dim > 0 && options.num_heads > 0, function,
          "embed_dim and num_heads must be positive", found);
  require(options.embed_dim % options.num_heads == 0, function,
          "embed_dim must be divisible by num_heads", found);
  const std::int64_t kdim = options.kdim.value_or(options.embed_dim);
  const std::int64_t vdim = options.vdim.value_or(options.embed_dim);
  require(kdim > 0 && vdim > 0, function, "kdim and vdim must be positive",
          [&] { return "kdim " + std::to_string(kdim) + ", vdim " + std::to_string(vdim); });
  return options.num_heads;
}

/// The parameters of named layers, each under its layer's name.
template <class List, class Layer>
List joined_parameters(std::initializer_list<std::pair<const char*, Layer*>> layers) {
  List list;
  for (const auto& [prefix, layer] : layers) {
    for (auto& parameter : layer->parameters()) {
      list.push_back({.name = prefix + parameter.name, .value = parameter.value});
    }
  }
  return list;
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
  attend("nn::ScaledDotProductAttention",
         {.out = with_heads(result.output.view()),
          .weights = with_heads(result.attention_weights.view())},
         {.q = with_heads(query), .k = with_heads(key), .v = with_heads(value)}, mask, options);
  return result;
}

MultiHeadAttention::MultiHeadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                                       random::Generator& generator)
    : MultiHeadAttention({.embed_dim = embed_dim, .num_heads = num_heads}, generator) {}

MultiHeadAttention::MultiHeadAttention(const MultiHeadAttentionOptions& options,
                                       random::Generator& generator)
    : num_heads_(checked_heads(options)),
      query_(options.embed_dim, options.embed_dim, generator, {.bias = options.bias}),
      key_(options.kdim.value_or(options.embed_dim), options.embed_dim, generator,
           {.bias = options.bias}),
      value_(options.vdim.value_or(options.embed_dim), options.embed_dim, generator,
             {.bias = options.bias}),
      output_(options.embed_dim, options.embed_dim, generator, {.bias = options.bias}) {}

AttentionOutput MultiHeadAttention::forward(TensorView<const float> query,
                                            TensorView<const float> key,
                                            TensorView<const float> value, const AnyView& mask,
                                            const ForwardOptions& options) const {
  const char* const function = "nn::MultiHeadAttention";
  const auto found = [&] {
    return "query " + to_string(query.shape()) + ", key " + to_string(key.shape()) + ", value " +
           to_string(value.shape()) + ", (E, kdim, vdim) = " +
           to_string({embed_dim(), key_.in_features(), value_.in_features()});
  };
  require(query.rank() == 3 && query.size(2) == embed_dim(), function,
          "query must have the shape (B, L, E)", found);
  require(key.rank() == 3 && key.size(2) == key_.in_features(), function,
          "key must have the shape (B, S, kdim)", found);
  require(value.rank() == 3 && value.size(2) == value_.in_features(), function,
          "value must have the shape (B, S, vdim)", found);
  require(query.size(0) == key.size(0) && query.size(0) == value.size(0), function,
          "query, key and value must have one batch size B", found);
  require(key.size(1) == value.size(1), function, "key and value must have one length S", found);

  const Tensor<float> q = query_.forward(query, options.execution);
  const Tensor<float> k = key_.forward(key, options.execution);
  const Tensor<float> v = value_.forward(value, options.execution);
  AttentionOutput result;
  result.attention_weights = Tensor<float>({query.size(0), num_heads_, query.size(1), key.size(1)});
  Tensor<float> joined(
      {query.size(0), query.size(1), embed_dim()});  // each head writes its own slice
  attend(function,
         {.out = split_heads(joined.view(), num_heads_), .weights = result.attention_weights},
         {.q = split_heads(q.view(), num_heads_),
          .k = split_heads(k.view(), num_heads_),
          .v = split_heads(v.view(), num_heads_)},
         mask, options);
  result.output = output_.forward(joined, options.execution);
  return result;
}

Parameters MultiHeadAttention::parameters() {
  return joined_parameters<Parameters, Linear>(
      {{"W_q.", &query_}, {"W_k.", &key_}, {"W_v.", &value_}, {"W_o.", &output_}});
}

ConstParameters MultiHeadAttention::parameters() const {
  return joined_parameters<ConstParameters, const Linear>(
      {{"W_q.", &query_}, {"W_k.", &key_}, {"W_v.", &value_}, {"W_o.", &output_}});
}

}  // namespace attention::nn
