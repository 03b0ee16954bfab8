#include "modules.hpp"

#include <optional>
#include <string>
#include <utility>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <attention/core/random.hpp>
#include <attention/nn/attention.hpp>

#include "arrays.hpp"
#include "without_gil.hpp"

namespace attention::python {
namespace {

using nn::MultiHeadAttention;
using nn::MultiHeadAttentionOptions;
using nn::MultiHeadForwardOptions;

/// query, key and value of a module's forward: float32 arrays.
struct Inputs {
  Array query;
  Array key;
  Array value;
};

Inputs float_inputs(const char* function, nb::handle query, nb::handle key, nb::handle value) {
  const auto read = [&](const char* name, nb::handle object) {
    Array array = Array::reading(function, name, object);
    if (array.dtype() != DType::float32) {
      throw_type_error(function, name, "must have the dtype float32", described(object));
    }
    return array;
  };
  return {.query = read("query", query), .key = read("key", key), .value = read("value", value)};
}

nb::tuple pair(nn::AttentionOutput&& result, nb::handle like) {
  const Library library = library_of(like);
  return nb::make_tuple(handed_over(std::move(result.output), library),
                        handed_over(std::move(result.attention_weights), library));
}

/// A mask in torch.nn.MultiheadAttention's sense: True is blocked, floating-point numbers are
/// added.
Mask blocking_mask(const char* function, const char* name, nb::handle object, const AnyView& view) {
  if (view.dtype() != DType::boolean && !is_floating(view.dtype())) {
    throw_type_error(
        function, name,
        "must hold bools (True: blocked) or floating-point numbers (added to the scores)",
        described(object));
  }
  return Mask::of(view.dtype() == DType::boolean ? MaskKind::block : MaskKind::add, view);
}

nb::tuple attend(nb::handle query, nb::handle key, nb::handle value, nb::handle mask,
                 std::optional<double> scale) {
  const char* const function = "ScaledDotProductAttention";
  const Inputs inputs = float_inputs(function, query, key, value);
  const Array mask_array = Array::reading(function, "mask", mask, true);
  nn::AttentionOutput result;
  without_gil([&] {
    result = nn::ScaledDotProductAttention().forward(
        inputs.query.view().as<float>(), inputs.key.view().as<float>(),
        inputs.value.view().as<float>(), mask_array.view(), {.scale = scale});
  });
  return pair(std::move(result), query);
}

nb::tuple forward(const MultiHeadAttention& module, nb::handle query, nb::handle key,
                  nb::handle value, nb::handle mask) {
  const char* const function = "MultiHeadAttention";
  const Inputs inputs = float_inputs(function, query, key, value);
  const Array mask_array = Array::reading(function, "mask", mask, true);
  nn::AttentionOutput result;
  without_gil([&] {
    result = module.forward(inputs.query.view().as<float>(), inputs.key.view().as<float>(),
                            inputs.value.view().as<float>(), mask_array.view());
  });
  return pair(std::move(result), query);
}

/// torch's attn_mask, (L, S) or (B * H, L, S), as (L, S) or (B, H, L, S).
AnyView with_head_dimension(const char* function, const AnyView& mask,
                            const MultiHeadAttention& module, const Inputs& inputs) {
  const AnyView& query = inputs.query.view();
  const AnyView& key = inputs.key.view();
  if ((query.rank() != 2 && query.rank() != 3) || key.rank() != query.rank()) {
    return mask;  // forward says what is wrong
  }
  const bool batched = query.rank() == 3;
  const int length = batched && module.options().batch_first ? 1 : 0;
  const std::int64_t batch = batched ? query.size(1 - length) : 1;
  const Shape one = {query.size(length), key.size(length)};
  const Shape each = {batch * module.num_heads(), one[0], one[1]};
  if (mask.shape() == one) {
    return mask;
  }
  if (mask.shape() != each) {
    throw_value_error(
        function, "attn_mask",
        "must have the shape (L, S) = " + to_string(one) + " or (B * H, L, S) = " + to_string(each),
        to_string(mask.shape()));
  }
  return {mask.data(), mask.dtype(), split(mask.layout(), 0, batch)};
}

nb::tuple forward_as_torch(const MultiHeadAttention& module, nb::handle query, nb::handle key,
                           nb::handle value, nb::handle key_padding_mask, bool need_weights,
                           nb::handle attn_mask, bool average_attn_weights) {
  const char* const function = "MultiheadAttention";
  const Inputs inputs = float_inputs(function, query, key, value);
  const Array padding = Array::reading(function, "key_padding_mask", key_padding_mask, true);
  const Array mask = Array::reading(function, "attn_mask", attn_mask, true);
  MultiHeadForwardOptions options{.need_weights = need_weights,
                                  .average_weights = average_attn_weights};
  if (mask.given()) {
    options.mask = blocking_mask(function, "attn_mask", attn_mask,
                                 with_head_dimension(function, mask.view(), module, inputs));
  }
  if (padding.given()) {
    const bool one_sequence = padding.view().rank() == 1 && inputs.query.view().rank() == 2;
    options.key_padding_mask =
        blocking_mask(function, "key_padding_mask", key_padding_mask,
                      one_sequence ? padding.view().unsqueeze(0) : padding.view());
  }
  nn::AttentionOutput result;
  without_gil([&] {
    result = module.forward(inputs.query.view().as<float>(), inputs.key.view().as<float>(),
                            inputs.value.view().as<float>(), options);
  });
  return pair(std::move(result), query);
}

nb::dict named(const nn::Parameters& parameters, nb::handle owner) {
  nb::dict result;
  for (const auto& parameter : parameters) {
    result[parameter.name.c_str()] = shared_with_numpy(parameter.value, owner);
  }
  return result;
}

void make(MultiHeadAttention* place, std::int64_t embed_dim, std::int64_t num_heads,
          std::optional<std::int64_t> kdim, std::optional<std::int64_t> vdim, bool bias,
          bool add_bias_kv, bool add_zero_attn, bool batch_first, const std::string& initialisation,
          random::Generator* generator) {
  if (initialisation != "torch_linear" && initialisation != "torch_mha") {
    throw_value_error("MultiHeadAttention", "initialisation",
                      "must be 'torch_linear' or 'torch_mha'", "'" + initialisation + "'");
  }
  const MultiHeadAttentionOptions options{.embed_dim = embed_dim,
                                          .num_heads = num_heads,
                                          .kdim = kdim,
                                          .vdim = vdim,
                                          .bias = bias,
                                          .add_bias_kv = add_bias_kv,
                                          .add_zero_attn = add_zero_attn,
                                          .batch_first = batch_first,
                                          .initialisation = initialisation == "torch_mha"
                                                                ? nn::Initialisation::torch_mha
                                                                : nn::Initialisation::torch_linear};
  new (place)
      MultiHeadAttention(options, generator == nullptr ? random::default_generator() : *generator);
}

/// torch takes negative seeds, and those up to 2^64 - 1.
std::uint64_t seed_of(const nb::int_& seed) {
  const unsigned long long bits = PyLong_AsUnsignedLongLongMask(seed.ptr());
  const nb::int_ low(-(1LL << 62) * 2);
  const nb::int_ high(~0ULL);
  if (seed < low || seed > high) {
    throw_value_error("manual_seed", "seed", "must lie in [-2^63, 2^64 - 1]", text_of(seed));
  }
  return bits;
}

}  // namespace

void bind_modules(nb::module_& module) {
  nb::class_<random::Generator>(
      module, "Generator",
      "The stream of random numbers behind torch.Generator on the CPU: the "
      "same seed gives the same numbers.")
      .def(
          "__init__",
          [](random::Generator* place, const nb::int_& seed) {
            new (place) random::Generator(seed_of(seed));
          },
          nb::arg("seed") = random::Generator::kDefaultSeed)
      .def(
          "manual_seed",
          [](random::Generator& self, const nb::int_& seed) -> random::Generator& {
            self.manual_seed(seed_of(seed));
            return self;
          },
          nb::arg("seed"), nb::rv_policy::none, "Starts the stream of a seed from its beginning.")
      .def("initial_seed", &random::Generator::initial_seed);
  module.def(
      "manual_seed", [](const nb::int_& seed) { random::manual_seed(seed_of(seed)); },
      nb::arg("seed"), "Seeds the generator that layers use when none is given.");

  module.def("attend", &attend, nb::arg("query").none(), nb::arg("key").none(),
             nb::arg("value").none(), nb::arg("mask").none(), nb::arg("scale").none());
  nb::class_<MultiHeadAttention>(module, "MultiHeadAttention")
      .def("__init__", &make, nb::arg("embed_dim"), nb::arg("num_heads"), nb::arg("kdim").none(),
           nb::arg("vdim").none(), nb::arg("bias"), nb::arg("add_bias_kv"),
           nb::arg("add_zero_attn"), nb::arg("batch_first"), nb::arg("initialisation"),
           nb::arg("generator").none())
      .def_prop_ro("embed_dim", &MultiHeadAttention::embed_dim)
      .def_prop_ro("num_heads", &MultiHeadAttention::num_heads)
      .def_prop_ro("kdim", &MultiHeadAttention::kdim)
      .def_prop_ro("vdim", &MultiHeadAttention::vdim)
      .def_prop_ro("batch_first",
                   [](const MultiHeadAttention& self) { return self.options().batch_first; })
      .def("forward", &forward, nb::arg("query").none(), nb::arg("key").none(),
           nb::arg("value").none(), nb::arg("mask").none())
      .def("forward_as_torch", &forward_as_torch, nb::arg("query").none(), nb::arg("key").none(),
           nb::arg("value").none(), nb::arg("key_padding_mask").none(), nb::arg("need_weights"),
           nb::arg("attn_mask").none(), nb::arg("average_attn_weights"))
      .def("parameters",
           [](nb::object self) {
             return named(nb::cast<MultiHeadAttention&>(self).parameters(), self);
           })
      .def("torch_parameters", [](nb::object self) {
        return named(nb::cast<MultiHeadAttention&>(self).torch_parameters(), self);
      });
}

}  // namespace attention::python
