#pragma once

#include <nanobind/nanobind.h>

namespace attention::python {

/// Figure and heatmap.
void bind_figures(nanobind::module_& module);

}  // namespace attention::python
