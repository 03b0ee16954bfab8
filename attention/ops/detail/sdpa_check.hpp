#pragma once

#include <string_view>

#include <attention/ops/sdpa.hpp>

/// Private to ops: what stands between the caller's arguments and a path.
namespace attention::detail {

/// Checks the inputs and options of sdpa and brings them into the form that every path takes; the
/// outputs are still null. Throws Error, naming `function`.
template <class T>
SdpaProblem<T> checked_problem(std::string_view function, TensorView<const T> q,
                               TensorView<const T> k, TensorView<const T> v,
                               const SdpaOptions& options);

/// Checks the caller's outputs against the problem and each other, and sets them. Throws Error.
template <class T>
void set_checked_outputs(std::string_view function, SdpaProblem<T>& problem,
                         const SdpaOutputs<T>& outputs);

}  // namespace attention::detail
