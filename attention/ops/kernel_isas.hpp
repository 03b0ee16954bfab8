#pragma once

#include <vector>

#include <attention/core/error.hpp>
#include <attention/core/export.hpp>
#include <attention/core/isa.hpp>

namespace attention {

/// The instruction sets that the fused path can use here, the best last: those that this library
/// has kernels for and this processor runs. `portable` is always among them.
ATTENTION_API std::vector<Isa> kernel_isas();

/// The one that it uses unless Execution::isa says otherwise: the best, or what the environment
/// variable ATTENTION_ISA named when first asked for.
///
/// Throws Error when ATTENTION_ISA names none of kernel_isas().
ATTENTION_API Isa default_kernel_isa();

}  // namespace attention
