#pragma once

#include <nanobind/nanobind.h>

#include <attention/core/parallel.hpp>

namespace attention::python {

/// Runs a computation without the GIL; Ctrl-C ends it with KeyboardInterrupt within about 50 ms.
template <class Compute>
auto without_gil(const Compute& compute) {
  const auto raise_if_interrupted = [] {
    const nanobind::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) {
      throw nanobind::python_error();
    }
  };
  const nanobind::gil_scoped_release no_gil;
  const InterruptCheck check(raise_if_interrupted);
  return compute();
}

}  // namespace attention::python
