#pragma once

#include <attention/core/dtype.hpp>
#include <attention/kernels/sdpa_args.hpp>

namespace attention::kernels {

/// The kernels' name of a floating element type.
constexpr Element element_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::float64:
      return Element::f64;
    case DType::float16:
      return Element::f16;
    case DType::bfloat16:
      return Element::bf16;
    default:
      return Element::f32;
  }
}

}  // namespace attention::kernels
