#pragma once

#include <attention/core/activation.hpp>
#include <attention/core/export.hpp>

namespace attention::reference {

/// The activation of one number, as core/activation.hpp defines it. NaN stays NaN.
ATTENTION_API double activated(Activation activation, double x) noexcept;

}  // namespace attention::reference
