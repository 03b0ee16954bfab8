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
ATTENTION_API void torch_linear(TensorView<double> weight, TensorView<double> bias,
                                random::Generator& generator);

/// Draws a matrix (O, I) as torch.nn.init.xavier_uniform_ does, bit for bit: uniform in
/// +-sqrt(6 / (I + O)). Throws Error for another rank.
///
/// Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
/// neural networks", equation 16.
ATTENTION_API void xavier_uniform(TensorView<float> weight, random::Generator& generator);
ATTENTION_API void xavier_uniform(TensorView<double> weight, random::Generator& generator);

/// Draws a row (1, E) as torch.nn.init.xavier_normal_ draws (1, 1, E), within 4 ulp: normal, with a
/// variance of 2 / (E + E). Throws Error for another shape.
ATTENTION_API void xavier_normal(TensorView<float> row, random::Generator& generator);
ATTENTION_API void xavier_normal(TensorView<double> row, random::Generator& generator);

}  // namespace attention::nn
