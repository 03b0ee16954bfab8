#pragma once

#include <string>
#include <string_view>

#include <attention/core/error.hpp>
#include <attention/core/tensor_view.hpp>

/// Private to ops: rules that every operation has.
namespace attention::detail {

inline std::string describe(std::string_view name, const Dims& dims) {
  return std::string(name) + " " + to_string(dims);
}

/// A tensor of one element or more has memory.
template <class View>
void require_given(std::string_view function, std::string_view name, const View& view) {
  require(view.data() != nullptr || (view.rank() > 0 && view.element_count() == 0), [&] {
    return Error(function, std::string(name) + " must be given",
                 describe("a null view of shape", view.shape()));
  });
}

/// A tensor that is written: it has memory, and each element a place of its own.
template <class View>
void require_writable(std::string_view function, std::string_view name, const View& view) {
  require_given(function, name, view);
  require(!view.layout().overlaps_itself(), [&] {
    return Error(function, std::string(name) + " must not overlap itself",
                 describe("shape", view.shape()) + ", " + describe("strides", view.strides()));
  });
}

/// Two tensors of which one has the shape of the other.
template <class View, class Other>
void require_shape_of(std::string_view function, std::string_view name, const View& view,
                      std::string_view other_name, const Other& other) {
  require(view.shape() == other.shape(), [&] {
    return Error(function, std::string(name) + " must have the shape of " + std::string(other_name),
                 describe(name, view.shape()) + ", " + describe(other_name, other.shape()));
  });
}

template <class T>
bool lie_apart(TensorView<const T> a, TensorView<const T> b) {
  return !may_overlap({a.data(), a.layout(), sizeof(T)}, {b.data(), b.layout(), sizeof(T)});
}

/// A tensor that is written shares no memory with an input.
template <class T>
void require_apart(std::string_view function, std::string_view name, TensorView<T> written,
                   std::string_view input_name, TensorView<const T> input) {
  require(lie_apart<T>(written, input), [&] {
    return Error(function, std::string(name) + " must lie apart from " + std::string(input_name),
                 "views that share memory");
  });
}

/// Where an operation works in place: a tensor that is written shares no memory with an input, or
/// is that input.
template <class T>
void require_in_place_or_apart(std::string_view function, std::string_view name,
                               TensorView<T> written, std::string_view input_name,
                               TensorView<const T> input) {
  const bool in_place = written.data() == input.data() && written.strides() == input.strides();
  require(in_place || lie_apart<T>(written, input), [&] {
    return Error(
        function,
        std::string(name) + " must be " + std::string(input_name) + " or lie apart from it",
        "views that share memory");
  });
}

/// A probability lies in [0, 1]; NaN does not.
inline void require_probability(std::string_view function, std::string_view name,
                                double probability) {
  require(probability >= 0 && probability <= 1, [&] {
    return Error(function, std::string(name) + " must lie in [0, 1]", std::to_string(probability));
  });
}

}  // namespace attention::detail
