#pragma once

#include <string_view>

#include <attention/core/export.hpp>

namespace attention {

/// A function that a layer applies to each element.
///
///   none       x
///   relu       max(x, 0)
///   gelu       x Phi(x), Phi the distribution function of N(0, 1); by erf
///   gelu_tanh  x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
///   silu       x / (1 + exp(-x))
///
/// Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
enum class Activation { none, relu, gelu, gelu_tanh, silu };

/// "none", "relu", ...
ATTENTION_API std::string_view name_of(Activation activation) noexcept;

}  // namespace attention
