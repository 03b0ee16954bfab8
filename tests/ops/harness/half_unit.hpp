#pragma once

#include <attention/core/dtype.hpp>

namespace attention::tests {

/// The largest relative error of one rounding to the type.
inline double half_unit_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return 0x1p-11;
    case DType::bfloat16:
      return 0x1p-8;
    case DType::float32:
      return 0x1p-24;
    default:
      return 0x1p-53;
  }
}

}  // namespace attention::tests
