#pragma once

#include <nanobind/nanobind.h>

namespace attention::python {

/// Generator, manual_seed, ScaledDotProductAttention and MultiHeadAttention.
void bind_modules(nanobind::module_& module);

}  // namespace attention::python
