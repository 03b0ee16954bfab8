#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>
#include <attention/nn/detail/attend.hpp>
#include <attention/nn/detail/joined_mask.hpp>
#include <attention/nn/detail/keep_mask.hpp>
#include <attention/nn/initialisation.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention::nn {
namespace {

constexpr const char* kFunction = "nn::MultiHeadAttention";

/// The input projections, in the order in which they lie in memory.
constexpr int kQuery = 0;
constexpr int kKey = 1;
constexpr int kValue = 2;
constexpr const char* kLayerNames[] = {"W_q.", "W_k.", "W_v."};
constexpr const char* kTorchNames[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};

/// Of an input projection: its rows of the weight (E, E or kdim or vdim) and of the bias (E), or a
/// null view. Const storage gives const views.
template <class Storage>
auto in_weight(Storage& storage, int projection) {
  auto view = storage.in_weight.view();
  if (view.is_null()) {
    return storage.split_in_weight[static_cast<std::size_t>(projection)].view();
  }
  const std::int64_t rows = view.size(0) / 3;
  return view.slice(0, projection * rows, rows);
}

template <class Storage>
auto in_bias(Storage& storage, int projection) {
  auto view = storage.in_bias.view();
  const std::int64_t rows = view.is_null() ? 0 : view.size(0) / 3;
  return view.is_null() ? view : view.slice(0, projection * rows, rows);
}

/// A null tensor as a null view.
template <class T>
auto view_of(T& tensor) {
  return tensor.is_null() ? decltype(tensor.view())() : tensor.view();
}

/// A list that leaves out what is not there.
template <class List>
struct ParameterList {
  List list;

  template <class View>
  void add(const std::string& name, const View& view) {
    if (!view.is_null()) {
      list.push_back({.name = name, .value = view});
    }
  }
};

template <class List, class Storage>
List list_parameters(Storage& storage) {
  ParameterList<List> result;
  for (int projection = kQuery; projection <= kValue; ++projection) {
    const std::string name = kLayerNames[projection];
    result.add(name + "weight", in_weight(storage, projection));
    result.add(name + "bias", in_bias(storage, projection));
  }
  result.add("W_o.weight", view_of(storage.out_weight));
  result.add("W_o.bias", view_of(storage.out_bias));
  result.add("bias_k", view_of(storage.bias_k));
  result.add("bias_v", view_of(storage.bias_v));
  return std::move(result.list);
}

template <class List, class Storage>
List list_torch_parameters(Storage& storage) {
  ParameterList<List> result;
  result.add("in_proj_weight", view_of(storage.in_weight));
  for (int projection = kQuery; projection <= kValue && storage.in_weight.is_null(); ++projection) {
    result.add(kTorchNames[projection], in_weight(storage, projection));
  }
  result.add("in_proj_bias", view_of(storage.in_bias));
  result.add("out_proj.weight", view_of(storage.out_weight));
  result.add("out_proj.bias", view_of(storage.out_bias));
  if (!storage.bias_k.is_null()) {
    result.add("bias_k", storage.bias_k.view().unsqueeze(0).unsqueeze(0));
    result.add("bias_v", storage.bias_v.view().unsqueeze(0).unsqueeze(0));
  }
  return std::move(result.list);
}

MultiHeadAttentionOptions checked(const MultiHeadAttentionOptions& options) {
  const auto found = [&] {
    return "embed_dim " + std::to_string(options.embed_dim) + ", num_heads " +
           std::to_string(options.num_heads);
  };
  require(options.embed_dim > 0 && options.num_heads > 0, kFunction,
          "embed_dim and num_heads must be positive", found);
  require(options.embed_dim % options.num_heads == 0, kFunction,
          "embed_dim must be divisible by num_heads", found);
  const std::int64_t kdim = options.kdim.value_or(options.embed_dim);
  const std::int64_t vdim = options.vdim.value_or(options.embed_dim);
  require(kdim > 0 && vdim > 0, kFunction, "kdim and vdim must be positive",
          [&] { return "kdim " + std::to_string(kdim) + ", vdim " + std::to_string(vdim); });
  return options;
}

template <class Storage>
void draw_as_linear(Storage& storage, random::Generator& generator) {
  for (int projection = kQuery; projection <= kValue; ++projection) {
    torch_linear(in_weight(storage, projection), in_bias(storage, projection), generator);
  }
  torch_linear(storage.out_weight, view_of(storage.out_bias), generator);
}

template <class Storage>
void draw_as_multihead_attention(Storage& storage, random::Generator& generator) {
  torch_linear(storage.out_weight, view_of(storage.out_bias), generator);
  if (!storage.out_bias.is_null()) {
    std::ranges::fill(storage.out_bias.values(), 0.0F);  // drawn, as torch does, and then set
  }
  if (!storage.in_weight.is_null()) {
    xavier_uniform(storage.in_weight, generator);
    return;
  }
  for (Tensor<float>& weight : storage.split_in_weight) {
    xavier_uniform(weight, generator);
  }
}

/// (B, L, E) as (B, H, L, E / H).
template <class T>
TensorView<T> split_heads(TensorView<T> view, std::int64_t heads) {
  return view.split(2, heads).transpose(1, 2);
}

/// Rows of the batch entries that go through the layer together: what lies between two products
/// stays in the outer caches, and the next entries use the same memory.
constexpr std::int64_t kRowsTogether = 1024;

/// Keys, or values, to be projected: (B, S, E), and after them in each entry the appended ones, the
/// first of which is `bias` if there is one, and the others 0.
Tensor<float> keys_for_overwrite(const Shape& shape, std::int64_t appended,
                                 const Tensor<float>& bias) {
  const std::int64_t S = shape[1];
  const std::int64_t E = shape[2];
  Tensor<float> keys = Tensor<float>::for_overwrite({shape[0], S + appended, E});
  for (std::int64_t b = 0; b < shape[0] && appended > 0; ++b) {
    const std::span<float> rows(&keys(b, S, 0), static_cast<std::size_t>(appended * E));
    std::ranges::fill(rows, 0.0F);
    if (!bias.is_null()) {
      std::ranges::copy(bias.values(), rows.begin());
    }
  }
  return keys;
}

/// linear_into with a workspace of its own.
void project_into(TensorView<float> out, TensorView<const float> x, TensorView<const float> weight,
                  TensorView<const float> bias, const Execution& execution) {
  const std::size_t size = linear_workspace_size(weight.size(1), DType::float32, execution);
  const auto workspace = std::make_unique_for_overwrite<std::byte[]>(size);
  linear_into(out, x, weight, bias, {.execution = execution}, {workspace.get(), size});
}

/// (B, H, L, S) -> (B, L, S).
Tensor<float> mean_over_heads(const Tensor<float>& weights, int threads) {
  const std::int64_t heads = weights.size(1);
  const std::int64_t L = weights.size(2);
  const std::int64_t S = weights.size(3);
  Tensor<float> mean({weights.size(0), L, S});
  parallel_for(weights.size(0) * L, threads, [&](std::int64_t row, int) {
    const std::int64_t b = row / L;
    const std::int64_t i = row % L;
    for (std::int64_t j = 0; j < S; ++j) {
      float sum = 0;
      for (std::int64_t h = 0; h < heads; ++h) {
        sum += weights(b, h, i, j);
      }
      mean(b, i, j) = sum / static_cast<float>(heads);
    }
  });
  return mean;
}

/// The tensor without its first dimension, which is 1.
Tensor<float> without_batch(const Tensor<float>& tensor) {
  return tensor.is_null() ? Tensor<float>() : Tensor<float>::copy_of(tensor.view().select(0, 0));
}

/// The inputs as (B, L, E), (B, S, kdim) and (B, S, vdim), whichever way they came.
struct Inputs {
  TensorView<const float> query;
  TensorView<const float> key;
  TensorView<const float> value;
  bool batched = true;
};

Inputs checked_inputs(const MultiHeadAttentionOptions& options, const Shape& features,
                      TensorView<const float> query, TensorView<const float> key,
                      TensorView<const float> value) {
  const auto found = [&] {
    return "query " + to_string(query.shape()) + ", key " + to_string(key.shape()) + ", value " +
           to_string(value.shape()) + ", (E, kdim, vdim) = " + to_string(features);
  };
  const char* const rules[] = {options.batch_first ? "query must have the shape (B, L, E)"
                                                   : "query must have the shape (L, B, E)",
                               options.batch_first ? "key must have the shape (B, S, kdim)"
                                                   : "key must have the shape (S, B, kdim)",
                               options.batch_first ? "value must have the shape (B, S, vdim)"
                                                   : "value must have the shape (S, B, vdim)"};
  Inputs inputs{.query = query, .key = key, .value = value, .batched = query.rank() != 2};
  TensorView<const float>* const views[] = {&inputs.query, &inputs.key, &inputs.value};
  for (int n = 0; n < 3; ++n) {
    TensorView<const float>& view = *views[n];
    require(view.rank() == (inputs.batched ? 3 : 2) && view.size(view.rank() - 1) == features[n],
            kFunction, rules[n], found);
    if (!inputs.batched) {
      view = view.unsqueeze(0);
    } else if (!options.batch_first) {
      view = view.transpose(0, 1);
    }
  }
  require(
      inputs.query.size(0) == inputs.key.size(0) && inputs.query.size(0) == inputs.value.size(0),
      kFunction, "query, key and value must have one batch size B", found);
  require(inputs.key.size(1) == inputs.value.size(1), kFunction,
          "key and value must have one length S", found);
  return inputs;
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                                       random::Generator& generator)
    : MultiHeadAttention({.embed_dim = embed_dim, .num_heads = num_heads}, generator) {}

MultiHeadAttention::MultiHeadAttention(const MultiHeadAttentionOptions& options,
                                       random::Generator& generator)
    : options_(checked(options)) {
  const std::int64_t E = options.embed_dim;
  if (kdim() == E && vdim() == E) {
    storage_.in_weight = Tensor<float>({3 * E, E});
  } else {
    storage_.split_in_weight = {Tensor<float>({E, E}), Tensor<float>({E, kdim()}),
                                Tensor<float>({E, vdim()})};
  }
  storage_.out_weight = Tensor<float>({E, E});
  if (options.bias) {
    storage_.in_bias = Tensor<float>({3 * E});
    storage_.out_bias = Tensor<float>({E});
  }
  if (options.initialisation == Initialisation::torch_mha) {
    draw_as_multihead_attention(storage_, generator);
  } else {
    draw_as_linear(storage_, generator);
  }
  if (options.add_bias_kv) {
    storage_.bias_k = Tensor<float>({E});
    storage_.bias_v = Tensor<float>({E});
    xavier_normal(storage_.bias_k.view().unsqueeze(0), generator);
    xavier_normal(storage_.bias_v.view().unsqueeze(0), generator);
  }
}

AttentionOutput MultiHeadAttention::forward(TensorView<const float> query,
                                            TensorView<const float> key,
                                            TensorView<const float> value, const AnyView& mask,
                                            const ForwardOptions& options) const {
  const auto [q, k, v, batched] =
      checked_inputs(options_, {embed_dim(), kdim(), vdim()}, query, key, value);
  const Tensor<bool> keep =
      detail::keep_mask(kFunction, mask, {q.size(0), num_heads(), q.size(1), k.size(1)});
  MultiHeadForwardOptions typed{.scale = options.scale, .execution = options.execution};
  if (!keep.is_null()) {
    typed.mask = Mask::keep(keep);
  }
  return forward(query, key, value, typed);
}

AttentionOutput MultiHeadAttention::forward(TensorView<const float> query,
                                            TensorView<const float> key,
                                            TensorView<const float> value,
                                            const MultiHeadForwardOptions& options) const {
  const Inputs x = checked_inputs(options_, {embed_dim(), kdim(), vdim()}, query, key, value);
  const std::int64_t B = x.query.size(0);
  const std::int64_t L = x.query.size(1);
  const std::int64_t S = x.key.size(1);
  const std::int64_t appended = (options_.add_bias_kv ? 1 : 0) + (options_.add_zero_attn ? 1 : 0);
  const detail::JoinedMask mask = detail::joined_mask(
      kFunction,
      {.mask = options.mask,
       .key_padding_mask = options.key_padding_mask,
       .causal = options.causal},
      {.B = B, .H = num_heads(), .L = L, .S = S, .appended = appended}, options.execution.threads);

  const Execution& execution = options.execution;
  const std::int64_t fitting = kRowsTogether / std::max({L, S, std::int64_t{1}});
  const std::int64_t entries = std::max(B, std::int64_t{1});
  const std::int64_t together = std::clamp(fitting, std::int64_t{1}, entries);
  Tensor<float> q = Tensor<float>::for_overwrite({together, L, embed_dim()});
  Tensor<float> k = keys_for_overwrite({together, S, embed_dim()}, appended, storage_.bias_k);
  Tensor<float> v = keys_for_overwrite({together, S, embed_dim()}, appended, storage_.bias_v);
  Tensor<float> joined = Tensor<float>::for_overwrite({together, L, embed_dim()});
  AttentionOutput result;
  if (options.need_weights) {
    result.attention_weights = Tensor<float>::for_overwrite({B, num_heads(), L, S + appended});
  }
  const bool length_first = x.batched && !options_.batch_first;
  result.output = Tensor<float>::for_overwrite(length_first ? Shape{L, B, embed_dim()}
                                                            : Shape{B, L, embed_dim()});
  const TensorView<float> output =
      length_first ? result.output.view().transpose(0, 1) : result.output.view();
  for (std::int64_t first = 0; first < B; first += together) {
    const std::int64_t count = std::min(together, B - first);
    const auto project = [&](int projection, TensorView<const float> rows, Tensor<float>& out) {
      project_into(out.view().slice(0, 0, count).slice(1, 0, rows.size(1)),
                   rows.slice(0, first, count), in_weight(storage_, projection),
                   in_bias(storage_, projection), execution);
      return split_heads(out.view().slice(0, 0, count), num_heads());
    };
    const TensorView<float> out = joined.view().slice(0, 0, count);
    detail::attend(
        {.out = split_heads(out, num_heads()),
         .weights = options.need_weights ? result.attention_weights.view().slice(0, first, count)
                                         : TensorView<float>()},
        {.q = project(kQuery, x.query, q),
         .k = project(kKey, x.key, k),
         .v = project(kValue, x.value, v)},
        {.mask = detail::mask_of_entries(mask.mask, first, count),
         .causal = mask.causal,
         .alignment = Alignment::top_left(),
         .scale = options.scale,
         .execution = execution});
    project_into(output.slice(0, first, count), out, storage_.out_weight,
                 view_of(storage_.out_bias), execution);
  }
  if (options.need_weights && options.average_weights) {
    result.attention_weights = mean_over_heads(result.attention_weights, execution.threads);
  }
  if (!x.batched) {
    result = {.output = without_batch(result.output),
              .attention_weights = without_batch(result.attention_weights)};
  }
  return result;
}

Parameters MultiHeadAttention::parameters() {
  return list_parameters<Parameters>(storage_);
}

ConstParameters MultiHeadAttention::parameters() const {
  return list_parameters<ConstParameters>(storage_);
}

Parameters MultiHeadAttention::torch_parameters() {
  return list_torch_parameters<Parameters>(storage_);
}

ConstParameters MultiHeadAttention::torch_parameters() const {
  return list_torch_parameters<ConstParameters>(storage_);
}

}  // namespace attention::nn
