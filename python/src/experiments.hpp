#pragma once

#include <nanobind/nanobind.h>

namespace attention::python {

/// experiment_names and run_experiment.
void bind_experiments(nanobind::module_& module);

}  // namespace attention::python
