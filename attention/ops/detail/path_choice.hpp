#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <attention/core/execution.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/workspace.hpp>

/// Private to ops.
namespace attention::detail {

/// The path of a call, from the list of its operation, and its kernels if it has any. Throws Error
/// from `function` when the list lacks the path asked for, or the processor the instruction set.
template <class Entry>
struct PathChoice {
  const Entry& path;
  const kernels::IsaKernels* isa;

  PathChoice(std::string_view function, std::span<const Entry> paths, const Execution& execution,
             DType dtype)
      : path(choose_path(function, paths, execution, dtype)),
        isa(path.has_kernels ? &choose_isa(function, execution) : nullptr) {}

  Taken taken() const {
    return {.path = path.path, .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  }
};

}  // namespace attention::detail
