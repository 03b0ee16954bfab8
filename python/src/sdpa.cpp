#include "sdpa.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/ops/sdpa.hpp>

#include "arrays.hpp"
#include "without_gil.hpp"

namespace attention::python {
namespace {

constexpr const char* kFunction = "scaled_dot_product_attention";

/// The arrays of a call, as they came.
struct Arguments {
  Array query;
  Array key;
  Array value;
  Array mask;
  Array alibi_slopes;
  Array sinks;
  Array key_lengths;
  Array out;
};

/// A problem of rank R >= 4: (..., H, L, D), where the dimensions before the last four are looped
/// over. `rank` is the rank of the results.
struct Problem {
  int rank = 4;
  Shape outer;
  std::int64_t B = 1;
  std::int64_t H = 1;
  std::int64_t L = 0;
  std::int64_t S = 0;
  std::int64_t Dv = 0;
};

/// The view with dimensions of 1 in front, up to the rank.
AnyView raised(AnyView view, int rank) {
  while (view.rank() < rank) {
    view = view.unsqueeze(0);
  }
  return view;
}

template <class T>
TensorView<T> raised(TensorView<T> view, int rank) {
  while (view.rank() < rank) {
    view = view.unsqueeze(0);
  }
  return view;
}

std::string shapes_of(const Arguments& a) {
  return "query " + to_string(a.query.view().shape()) + ", key " + to_string(a.key.view().shape()) +
         ", value " + to_string(a.value.view().shape());
}

/// Gives all three one rank and one batch shape, by views, and says what the problem is.
Problem broadcast(const Arguments& a, bool enable_gqa, AnyView& q, AnyView& k, AnyView& v) {
  const auto found = [&] { return shapes_of(a); };
  require(q.rank() >= 2 && k.rank() >= 2 && v.rank() >= 2, kFunction,
          "query, key and value must have the shapes (..., L, E), (..., S, E) and (..., S, Ev)",
          found);
  Problem problem;
  problem.rank = std::max({q.rank(), k.rank(), v.rank()});
  const int rank = std::max(problem.rank, 4);
  AnyView* const views[] = {&q, &k, &v};
  for (AnyView* view : views) {
    *view = raised(std::move(*view), rank);
  }
  const int heads = rank - 3;
  Shape common;
  for (int dim = 0; dim <= heads; ++dim) {
    std::int64_t extent = 1;
    for (const AnyView* view : views) {
      extent = view->size(dim) == 1 ? extent : view->size(dim);
    }
    const bool grouped = enable_gqa && dim == heads;
    for (const AnyView* view : views) {
      require(grouped || view->size(dim) == 1 || view->size(dim) == extent, kFunction,
              dim == heads ? "query, key and value must have the same heads, or 1 (enable_gqa lets "
                             "groups of query heads share a key head)"
                           : "query, key and value must have the same batch dimensions, or 1",
              found);
    }
    common.push_back(extent);
  }
  if (enable_gqa) {
    require(k.size(heads) == v.size(heads), kFunction,
            "key and value must have the same number of heads", found);
    require(k.size(heads) == 0 || q.size(heads) % k.size(heads) == 0, kFunction,
            "the heads of query must be a multiple of the heads of key", found);
    common[heads] = q.size(heads);
  }
  require(q.size(rank - 1) == k.size(rank - 1), kFunction,
          "query and key must have the same last dimension, E", found);
  require(k.size(rank - 2) == v.size(rank - 2), kFunction,
          "key and value must have the same length, S", found);
  for (AnyView* view : views) {
    Shape shape = view->shape();
    for (int dim = 0; dim < heads; ++dim) {
      shape[dim] = common[dim];
    }
    // Keys and values of one head serve all queries as they are; otherwise they agree.
    const bool keys_of_one_head = view != &q && k.size(heads) == 1 && v.size(heads) == 1;
    if (!enable_gqa && !keys_of_one_head) {
      shape[heads] = common[heads];
    }
    *view = view->broadcast_to(shape);
  }
  for (int dim = 0; dim < rank - 4; ++dim) {
    problem.outer.push_back(common[dim]);
  }
  problem.B = common[rank - 4];
  problem.H = common[heads];
  problem.L = q.size(rank - 2);
  problem.S = k.size(rank - 2);
  problem.Dv = v.size(rank - 1);
  return problem;
}

/// The last four dimensions of a view at an index of those before them.
template <class T>
TensorView<T> inner(TensorView<T> view, const Dims& index) {
  for (int dim = 0; dim < index.rank() && !view.is_null(); ++dim) {
    view = view.select(0, index[dim]);
  }
  return view;
}

/// The last four dimensions of a view, none of its batch.
template <class T>
TensorView<T> without_batch(TensorView<T> view) {
  Layout layout = view.layout();
  while (layout.shape.rank() > 4) {
    layout.shape.erase(0);
    layout.strides.erase(0);
  }
  layout.shape[0] = 0;
  return {view.data(), layout};
}

/// The whole shape of a result whose last two extents are given, at the rank of the call.
Shape result_shape(const Problem& problem, std::int64_t rows, std::optional<std::int64_t> columns) {
  Shape shape = problem.outer;
  shape.push_back(problem.B);
  shape.push_back(problem.H);
  shape.push_back(rows);
  if (columns) {
    shape.push_back(*columns);
  }
  for (int rank = std::max(problem.rank, 4); rank > problem.rank; --rank) {
    shape.erase(0);
  }
  return shape;
}

/// The mask at an index of the dimensions before the last four.
Mask inner_mask(const AnyView& mask, const Dims& index) {
  if (mask.is_null()) {
    return {};
  }
  std::int64_t offset = 0;
  Layout layout = mask.layout();
  for (int dim = 0; dim < index.rank(); ++dim) {
    offset += index[dim] * mask.strides()[dim];
    layout.shape.erase(0);
    layout.strides.erase(0);
  }
  const auto bytes = offset * static_cast<std::int64_t>(size_of(mask.dtype()));
  const AnyView view(static_cast<const std::byte*>(mask.data()) + bytes, mask.dtype(), layout);
  return Mask::of(mask.dtype() == DType::boolean ? MaskKind::keep : MaskKind::add, view);
}

template <class T>
struct Results {
  Tensor<T> out;
  Tensor<Accumulator<T>> lse;
  Tensor<Accumulator<T>> weights;
};

/// Calls function(index) for each index of the shape.
template <class Function>
void for_each_index(const Shape& shape, const Function& function) {
  std::int64_t number = 0;
  const std::int64_t count = element_count(shape);
  for (; number < count; ++number) {
    Dims index = shape;
    std::int64_t rest = number;
    for (int dim = shape.rank() - 1; dim >= 0; --dim) {
      index[dim] = rest % shape[dim];
      rest /= shape[dim];
    }
    function(index);
  }
}

template <class T>
struct Call {
  const Problem& problem;
  TensorView<const T> q;
  TensorView<const T> k;
  TensorView<const T> v;
  SdpaOutputs<T> outputs;  // of the problem's rank, 4 or more
  AnyView mask;

  void operator()(SdpaOptions options) const {
    const int last = q.rank() - 1;
    const SdpaSize size{.B = problem.B,
                        .H = problem.H,
                        .Hkv = k.size(last - 2),
                        .L = problem.L,
                        .S = problem.S,
                        .D = q.size(last),
                        .Dv = problem.Dv,
                        .dtype = kDTypeOf<T>};
    const std::size_t bytes = sdpa_workspace_size(size, options.execution);
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(bytes);
    const std::span<std::byte> workspace(memory.get(), bytes);
    if (element_count(problem.outer) == 0) {  // nothing to compute, but rules to break
      sdpa_into(SdpaOutputs<T>{.out = without_batch(outputs.out)}, without_batch(q),
                without_batch(k), without_batch(v), options, workspace);
      return;
    }
    for_each_index(problem.outer, [&](const Dims& index) {
      const SdpaOutputs<T> here{.out = inner(outputs.out, index),
                                .lse = inner(outputs.lse, index),
                                .weights = inner(outputs.weights, index)};
      options.mask = inner_mask(mask, index);
      sdpa_into(here, inner(q, index), inner(k, index), inner(v, index), options, workspace);
    });
  }
};

void check_mask(const Shape& mask, const Shape& scores) {
  // Dimensions of 1 in front of the scores' do no harm.
  bool fits = mask.rank() <= std::max(scores.rank(), 4);
  for (int back = 1; fits && back <= mask.rank(); ++back) {
    const std::int64_t wanted = back <= scores.rank() ? scores[scores.rank() - back] : 1;
    const std::int64_t extent = mask[mask.rank() - back];
    fits = extent == 1 || extent == wanted;
  }
  require(fits, kFunction, "attn_mask must broadcast to (..., H, L, S)", [&] {
    return "attn_mask " + to_string(mask) + ", (..., H, L, S) = " + to_string(scores);
  });
}

/// sdpa_into checks each slice of the dimensions before the last four by itself: here `out` is kept
/// apart from all of every input.
void check_out_apart(const Arguments& a, const Problem& problem) {
  if (!a.out.given() || problem.outer.rank() == 0) {
    return;
  }
  require(!a.out.view().layout().overlaps_itself(), kFunction, "out must not overlap itself", [&] {
    return "out " + to_string(a.out.view().shape()) + " with strides " +
           to_string(a.out.view().strides());
  });
  const auto placement = [](const AnyView& view) {
    return Placement{view.data(), view.layout(), size_of(view.dtype())};
  };
  for (const auto& [name, input] :
       {std::pair("query", &a.query), std::pair("key", &a.key), std::pair("value", &a.value),
        std::pair("attn_mask", &a.mask)}) {
    require(!input->given() || !may_overlap(placement(a.out.view()), placement(input->view())),
            kFunction, "out must not overlap an input",
            [&, n = name] { return std::string("out and ") + n + " share memory"; });
  }
}

template <class T>
nb::tuple attend(const Arguments& a, const SdpaRequest& request, Library library) {
  AnyView q = a.query.view();
  AnyView k = a.key.view();
  AnyView v = a.value.view();
  const Problem problem = broadcast(a, request.enable_gqa, q, k, v);
  const int rank = std::max(problem.rank, 4);

  Results<T> results;
  const Shape out_shape = result_shape(problem, problem.L, problem.Dv);
  const Shape lse_shape = result_shape(problem, problem.L, std::nullopt);
  const Shape weights_shape = result_shape(problem, problem.L, problem.S);
  TensorView<T> out;
  if (a.out.given()) {
    require(a.out.view().shape() == out_shape, kFunction, "out must have the shape of the result",
            [&] {
              return "out " + to_string(a.out.view().shape()) + ", result " + to_string(out_shape);
            });
    out = a.out.writable<T>();
  } else {
    results.out = Tensor<T>::for_overwrite(out_shape);
    out = results.out.view();
  }
  SdpaOutputs<T> outputs{.out = raised(out, rank)};
  if (request.return_lse) {
    results.lse = Tensor<Accumulator<T>>::for_overwrite(lse_shape);
    outputs.lse = raised(results.lse.view(), rank - 1);
  }
  if (request.return_weights) {
    results.weights = Tensor<Accumulator<T>>::for_overwrite(weights_shape);
    outputs.weights = raised(results.weights.view(), rank);
  }

  AnyView mask = a.mask.view();
  if (a.mask.given()) {
    check_mask(mask.shape(), weights_shape);
    mask = raised(std::move(mask), rank);
    Shape shape = mask.shape();
    for (int dim = 0; dim < rank - 4; ++dim) {
      shape[dim] = problem.outer[dim];
    }
    mask = mask.broadcast_to(shape);
  }
  check_out_apart(a, problem);
  SdpaOptions options = request.options;
  options.alibi_slopes = a.alibi_slopes.view();
  options.sinks = a.sinks.view();
  options.key_lengths = a.key_lengths.view();
  require(problem.outer.rank() == 0 || !a.key_lengths.given(), kFunction,
          "key_lengths (B) needs inputs of at most 4 dimensions", [&] { return shapes_of(a); });
  const Call<T> call{.problem = problem,
                     .q = q.as<T>(),
                     .k = k.as<T>(),
                     .v = v.as<T>(),
                     .outputs = outputs,
                     .mask = mask};
  without_gil([&] { call(options); });
  return nb::make_tuple(handed_over(std::move(results.out), library, out_shape),
                        handed_over(std::move(results.weights), library, weights_shape),
                        handed_over(std::move(results.lse), library, lse_shape));
}

void check_dtypes(const Arguments& a, nb::handle key, nb::handle value, nb::handle mask,
                  nb::handle out) {
  const DType dtype = a.query.dtype();
  const std::string wanted = "must have the dtype of query, " + std::string(name_of(dtype));
  if (a.key.dtype() != dtype) {
    throw_type_error(kFunction, "key", wanted, described(key));
  }
  if (a.value.dtype() != dtype) {
    throw_type_error(kFunction, "value", wanted, described(value));
  }
  if (a.out.given() && a.out.dtype() != dtype) {
    throw_type_error(kFunction, "out", wanted, described(out));
  }
  if (a.mask.given() && a.mask.dtype() != DType::boolean && !is_floating(a.mask.dtype())) {
    throw_type_error(
        kFunction, "attn_mask",
        "must hold bools (True: attend) or floating-point numbers (added to the scores)",
        described(mask));
  }
}

void check_vectors(const Arguments& a, nb::handle alibi_slopes, nb::handle sinks,
                   nb::handle key_lengths) {
  const auto check = [](const Array& array, const char* name, nb::handle object, DType first,
                        DType second) {
    if (array.given() && array.dtype() != first && array.dtype() != second) {
      throw_type_error(kFunction, name,
                       "must have the dtype " + std::string(name_of(first)) + " or " +
                           std::string(name_of(second)),
                       described(object));
    }
  };
  check(a.alibi_slopes, "alibi_slopes", alibi_slopes, DType::float32, DType::float64);
  check(a.sinks, "sinks", sinks, DType::float32, DType::float64);
  check(a.key_lengths, "key_lengths", key_lengths, DType::int32, DType::int64);
}

/// Runs the call; what the library says of sdpa_into is said of the function that was called.
template <class T>
nb::tuple attend_in_own_name(const Arguments& a, const SdpaRequest& request, Library library) {
  try {
    return attend<T>(a, request, library);
  } catch (const Error& error) {
    throw Error(kFunction, error.rule(), error.found());
  }
}

}  // namespace

nb::tuple sdpa(nb::handle query, nb::handle key, nb::handle value, nb::handle attn_mask,
               nb::handle alibi_slopes, nb::handle sinks, nb::handle key_lengths, nb::handle out,
               const SdpaRequest& request) {
  Arguments a{.query = Array::reading(kFunction, "query", query),
              .key = Array::reading(kFunction, "key", key),
              .value = Array::reading(kFunction, "value", value),
              .mask = Array::reading(kFunction, "attn_mask", attn_mask, true),
              .alibi_slopes = Array::reading(kFunction, "alibi_slopes", alibi_slopes, true),
              .sinks = Array::reading(kFunction, "sinks", sinks, true),
              .key_lengths = Array::reading(kFunction, "key_lengths", key_lengths, true),
              .out = out.is_none() ? Array() : Array::writing(kFunction, "out", out)};
  if (!is_floating(a.query.dtype())) {
    throw_type_error(kFunction, "query", "must hold floating-point numbers", described(query));
  }
  check_dtypes(a, key, value, attn_mask, out);
  check_vectors(a, alibi_slopes, sinks, key_lengths);
  const Library library = library_of(query);
  switch (a.query.dtype()) {
    case DType::float64:
      return attend_in_own_name<double>(a, request, library);
    case DType::float16:
      return attend_in_own_name<float16>(a, request, library);
    case DType::bfloat16:
      return attend_in_own_name<bfloat16>(a, request, library);
    default:
      return attend_in_own_name<float>(a, request, library);
  }
}

}  // namespace attention::python
