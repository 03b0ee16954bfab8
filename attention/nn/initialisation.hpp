#pragma once

#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::nn {

/// Draws the parameters of a linear layer as torch.nn.Linear does, bit for bit: first weight (O,
/// I), then bias (O) if it is not null, both uniform in +-1 / sqrt(I).
///
/// The bounds are computed in double as torch's Python code computes them: for the weight by way of
/// Kaiming's formula with a = sqrt(5), which differs from 1 / sqrt(I) in the last place. I = 0
/// draws nothing; the bias is then 0.
///
/// Throws Error when the shapes do not fit.
///
/// Source: torch.nn.Linear.reset_parameters; He et al. 2015, "Delving Deep into Rectifiers",
/// section 2.2.
ATTENTION_API void torch_linear(TensorView<float> weight, TensorView<float> bias,
                                random::Generator& generator);

}  // namespace attention::nn
