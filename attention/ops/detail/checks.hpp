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

}  // namespace attention::detail
