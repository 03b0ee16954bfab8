#pragma once

#include <string_view>

#include <attention/core/execution.hpp>
#include <attention/kernels/isa_table.hpp>

/// Private to ops.
namespace attention::detail {

/// The kernels that the fused path of a call uses; see Execution::isa. Throws Error from `function`
/// when they are not to be had.
const kernels::IsaKernels& choose_isa(std::string_view function, const Execution& execution);

}  // namespace attention::detail
