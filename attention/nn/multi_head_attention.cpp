#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <attention/core/error.hpp>
#include <attention/nn/detail/attend.hpp>
#include <attention/nn/detail/joined_mask.hpp>
#include <attention/nn/detail/keep_mask.hpp>
#include <attention/nn/detail/multi_head_parts.hpp>
#include <attention/nn/initialisation.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention::nn {
namespace {

using detail::kKey;
using detail::kMultiHead;
using detail::kQuery;
using detail::kValue;

constexpr const char* kWeightNames[] = {"W_q.weight", "W_k.weight", "W_v.weight"};
constexpr const char* kBiasNames[] = {"W_q.bias", "W_k.bias", "W_v.bias"};
constexpr const char* kTorchNames[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};

/// Of an input projection: its rows of the weight and of the bias, or a null view. Const storage
/// gives const views.
template <class Storage>
auto in_weight(Storage& storage, const MultiHeadAttentionOptions& options, int projection) {
  const auto [begin, count] = detail::rows_of(options, projection);
  return storage.in_weight.is_null()
             ? storage.split_in_weight[static_cast<std::size_t>(projection)].view()
             : storage.in_weight.view().slice(0, begin, count);
}

template <class Storage>
auto in_bias(Storage& storage, const MultiHeadAttentionOptions& options, int projection) {
  const auto [begin, count] = detail::rows_of(options, projection);
  const auto view = storage.in_bias.view();
  return view.is_null() ? view : view.slice(0, begin, count);
}

template <class T, class Storage>
ParameterList<T> list_parameters(Storage& storage, const MultiHeadAttentionOptions& options) {
  ListBuilder<T> list;
  for (int projection = kQuery; projection <= kValue; ++projection) {
    list.add(kWeightNames[projection], in_weight(storage, options, projection),
             detail::in_weight_variable(storage, options, projection));
    list.add(kBiasNames[projection], in_bias(storage, options, projection),
             detail::in_bias_variable(storage, options, projection));
  }
  list.add("W_o.weight", storage.out_weight);
  list.add("W_o.bias", storage.out_bias);
  list.add("bias_k", storage.bias_k);
  list.add("bias_v", storage.bias_v);
  return list.take();
}

template <class T, class Storage>
ParameterList<T> list_torch_parameters(Storage& storage, const MultiHeadAttentionOptions& options) {
  require(options.num_kv_heads.value_or(options.num_heads) == options.num_heads, kMultiHead,
          "num_kv_heads must be num_heads where torch's names are wanted", [&] {
            return "num_heads " + std::to_string(options.num_heads) + ", num_kv_heads " +
                   std::to_string(*options.num_kv_heads);
          });
  ListBuilder<T> list;
  list.add("in_proj_weight", storage.in_weight);
  for (int projection = kQuery; projection <= kValue; ++projection) {
    list.add(kTorchNames[projection],
             storage.split_in_weight[static_cast<std::size_t>(projection)]);
  }
  list.add("in_proj_bias", storage.in_bias);
  list.add("out_proj.weight", storage.out_weight);
  list.add("out_proj.bias", storage.out_bias);
  if (!storage.bias_k.is_null()) {
    list.add("bias_k", storage.bias_k.view().unsqueeze(0).unsqueeze(0),
             storage.bias_k.variable().unsqueeze(0).unsqueeze(0));
    list.add("bias_v", storage.bias_v.view().unsqueeze(0).unsqueeze(0),
             storage.bias_v.variable().unsqueeze(0).unsqueeze(0));
  }
  return list.take();
}

MultiHeadAttentionOptions checked(const MultiHeadAttentionOptions& options) {
  const std::int64_t groups = options.num_kv_heads.value_or(options.num_heads);
  const auto found = [&] {
    return "embed_dim " + std::to_string(options.embed_dim) + ", num_heads " +
           std::to_string(options.num_heads) +
           (options.num_kv_heads ? ", num_kv_heads " + std::to_string(groups) : "");
  };
  require(options.embed_dim > 0 && options.num_heads > 0, kMultiHead,
          "embed_dim and num_heads must be positive", found);
  require(options.embed_dim % options.num_heads == 0, kMultiHead,
          "embed_dim must be divisible by num_heads", found);
  require(groups > 0 && options.num_heads % groups == 0, kMultiHead,
          "num_heads must be divisible by num_kv_heads", found);
  const std::int64_t kdim = options.kdim.value_or(options.embed_dim);
  const std::int64_t vdim = options.vdim.value_or(options.embed_dim);
  require(kdim > 0 && vdim > 0, kMultiHead, "kdim and vdim must be positive",
          [&] { return "kdim " + std::to_string(kdim) + ", vdim " + std::to_string(vdim); });
  require(options.dropout >= 0 && options.dropout <= 1, kMultiHead, "dropout must lie in [0, 1]",
          [&] { return std::to_string(options.dropout); });
  return options;
}

template <class T>
void draw_as_linear(detail::MultiHeadStorage<T>& storage, const MultiHeadAttentionOptions& options,
                    random::Generator& generator) {
  for (int projection = kQuery; projection <= kValue; ++projection) {
    torch_linear(in_weight(storage, options, projection), in_bias(storage, options, projection),
                 generator);
  }
  torch_linear(storage.out_weight.view(), storage.out_bias.view(), generator);
}

template <class T>
void fill(TensorView<T> view, T value) {
  for_each_offset(view.shape(), [&](std::int64_t at) { view.data()[at] = value; }, view.strides());
}

template <class T>
void draw_as_multihead_attention(detail::MultiHeadStorage<T>& storage,
                                 random::Generator& generator) {
  torch_linear(storage.out_weight.view(), storage.out_bias.view(), generator);
  if (!storage.out_bias.is_null()) {
    fill(storage.out_bias.view(), T{0});  // drawn, as torch does, and then set
  }
  if (!storage.in_weight.is_null()) {
    xavier_uniform(storage.in_weight.view(), generator);
    return;
  }
  for (Learned<T>& weight : storage.split_in_weight) {
    xavier_uniform(weight.view(), generator);
  }
}

/// Rows of the batch entries that go through the layer together: what lies between two products
/// stays in the outer caches, and the next entries use the same memory.
constexpr std::int64_t kRowsTogether = 1024;

/// Keys, or values, to be projected: (B, S, Ekv), and after them in each entry the appended ones,
/// the first of which is `bias` if there is one, and the others 0.
template <class T>
Tensor<T> keys_for_overwrite(const Shape& shape, std::int64_t appended, TensorView<const T> bias) {
  Tensor<T> keys = Tensor<T>::for_overwrite({shape[0], shape[1] + appended, shape[2]});
  for (std::int64_t n = 0; n < appended; ++n) {
    const TensorView<T> rows = keys.view().select(1, shape[1] + n);
    fill(rows, T{0});
    for (std::int64_t b = 0; b < shape[0] && n == 0 && !bias.is_null(); ++b) {
      std::ranges::copy(std::span(bias.data(), static_cast<std::size_t>(shape[2])), &rows(b, 0));
    }
  }
  return keys;
}

/// linear_into with a workspace of its own.
template <class T>
void project_into(TensorView<T> out, TensorView<const T> x, TensorView<const T> weight,
                  TensorView<const T> bias, const Execution& execution) {
  const std::size_t size = linear_workspace_size(weight.size(1), kDTypeOf<T>, execution);
  const auto workspace = std::make_unique_for_overwrite<std::byte[]>(size);
  linear_into(out, x, weight, bias, {.execution = execution}, {workspace.get(), size});
}

}  // namespace

template <class T>
BasicMultiHeadAttention<T>::BasicMultiHeadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                                                    random::Generator& generator)
    : BasicMultiHeadAttention({.embed_dim = embed_dim, .num_heads = num_heads}, generator) {}

template <class T>
BasicMultiHeadAttention<T>::BasicMultiHeadAttention(const MultiHeadAttentionOptions& options,
                                                    random::Generator& generator)
    : options_(checked(options)) {
  const std::int64_t E = options.embed_dim;
  const std::int64_t Ekv = detail::rows_of(options, kKey).count;
  if (kdim() == E && vdim() == E) {
    storage_.in_weight = Learned<T>({E + 2 * Ekv, E});
  } else {
    storage_.split_in_weight = {Learned<T>({E, E}), Learned<T>({Ekv, kdim()}),
                                Learned<T>({Ekv, vdim()})};
  }
  storage_.out_weight = Learned<T>({E, E});
  if (options.bias) {
    storage_.in_bias = Learned<T>({E + 2 * Ekv});
    storage_.out_bias = Learned<T>({E});
  }
  if (options.initialisation == Initialisation::torch_mha) {
    draw_as_multihead_attention(storage_, generator);
  } else {
    draw_as_linear(storage_, options_, generator);
  }
  if (options.add_bias_kv) {
    storage_.bias_k = Learned<T>({Ekv});
    storage_.bias_v = Learned<T>({Ekv});
    xavier_normal(storage_.bias_k.view().unsqueeze(0), generator);
    xavier_normal(storage_.bias_v.view().unsqueeze(0), generator);
  }
}

template <class T>
BasicAttentionOutput<T> BasicMultiHeadAttention<T>::forward(TensorView<const T> query,
                                                            TensorView<const T> key,
                                                            TensorView<const T> value,
                                                            const AnyView& mask,
                                                            const ForwardOptions& options) const {
  const auto [q, k, v, batched] = detail::checked_inputs(options_, query, key, value);
  const Tensor<bool> keep =
      detail::keep_mask(kMultiHead, mask, {q.size(0), num_heads(), q.size(1), k.size(1)});
  MultiHeadForwardOptions typed{.scale = options.scale, .execution = options.execution};
  if (!keep.is_null()) {
    typed.mask = Mask::keep(keep);
  }
  return forward(query, key, value, typed);
}

template <class T>
BasicAttentionOutput<T> BasicMultiHeadAttention<T>::forward(
    TensorView<const T> query, TensorView<const T> key, TensorView<const T> value,
    const MultiHeadForwardOptions& options) const {
  const auto x = detail::checked_inputs(options_, query, key, value);
  const std::int64_t B = x.query.size(0);
  const std::int64_t L = x.query.size(1);
  const std::int64_t S = x.key.size(1);
  const std::int64_t Ekv = detail::rows_of(options_, kKey).count;
  const std::int64_t appended = detail::appended_keys(options_);
  const detail::JoinedMask mask = detail::joined_mask(
      kMultiHead,
      {.mask = options.mask,
       .key_padding_mask = options.key_padding_mask,
       .causal = options.causal},
      {.B = B, .H = num_heads(), .L = L, .S = S, .appended = appended}, options.execution.threads);

  const Execution& execution = options.execution;
  const std::int64_t fitting = kRowsTogether / std::max({L, S, std::int64_t{1}});
  const std::int64_t entries = std::max(B, std::int64_t{1});
  const SdpaDropout dropout = detail::dropout_of(options_, options);
  // (Masks of dropout count batch entries in the call.)
  const std::int64_t together =
      dropout.probability > 0 ? entries : std::clamp(fitting, std::int64_t{1}, entries);
  Tensor<T> q = Tensor<T>::for_overwrite({together, L, embed_dim()});
  Tensor<T> k = keys_for_overwrite({together, S, Ekv}, appended, storage_.bias_k.view());
  Tensor<T> v = keys_for_overwrite({together, S, Ekv}, appended, storage_.bias_v.view());
  Tensor<T> joined = Tensor<T>::for_overwrite({together, L, embed_dim()});
  BasicAttentionOutput<T> result;
  if (options.need_weights) {
    result.attention_weights = Tensor<T>::for_overwrite({B, num_heads(), L, S + appended});
  }
  const bool length_first = x.batched && !options_.batch_first;
  result.output =
      Tensor<T>::for_overwrite(length_first ? Shape{L, B, embed_dim()} : Shape{B, L, embed_dim()});
  const TensorView<T> output =
      length_first ? result.output.view().transpose(0, 1) : result.output.view();
  for (std::int64_t first = 0; first < B; first += together) {
    const std::int64_t count = std::min(together, B - first);
    const auto project = [&](int projection, TensorView<const T> rows, Tensor<T>& out) {
      const TensorView<T> place = out.view().slice(0, 0, count);
      project_into<T>(place.slice(1, 0, rows.size(1)), rows.slice(0, first, count),
                      in_weight(storage_, options_, projection),
                      in_bias(storage_, options_, projection), execution);
      return detail::split_heads(place, projection == kQuery ? num_heads() : num_kv_heads());
    };
    const TensorView<T> out = joined.view().slice(0, 0, count);
    detail::attend<T>(
        {.out = detail::split_heads(out, num_heads()),
         .weights = options.need_weights ? result.attention_weights.view().slice(0, first, count)
                                         : TensorView<T>()},
        {.q = project(kQuery, x.query, q),
         .k = project(kKey, x.key, k),
         .v = project(kValue, x.value, v)},
        {.mask = detail::mask_of_entries(mask.mask, first, count),
         .causal = mask.causal,
         .alignment = Alignment::top_left(),
         .scale = options.scale,
         .dropout = dropout,
         .execution = execution});
    project_into<T>(output.slice(0, first, count), out, storage_.out_weight.view(),
                    storage_.out_bias.view(), execution);
  }
  detail::finish_weights(options, x.batched, result.attention_weights);
  if (!x.batched) {
    result.output = detail::without_batch(result.output);
  }
  return result;
}

template <class T>
ParameterList<T> BasicMultiHeadAttention<T>::parameters() {
  return list_parameters<T>(storage_, options_);
}

template <class T>
ParameterList<const T> BasicMultiHeadAttention<T>::parameters() const {
  return list_parameters<const T>(storage_, options_);
}

template <class T>
ParameterList<T> BasicMultiHeadAttention<T>::torch_parameters() {
  return list_torch_parameters<T>(storage_, options_);
}

template <class T>
ParameterList<const T> BasicMultiHeadAttention<T>::torch_parameters() const {
  return list_torch_parameters<const T>(storage_, options_);
}

template class BasicMultiHeadAttention<float>;
template class BasicMultiHeadAttention<double>;

}  // namespace attention::nn
