#include <cmath>
#include <initializer_list>
#include <string>

#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/norm_check.hpp>

namespace attention::detail {
namespace {

struct NamedView {
  std::string_view name;
  AnyView view;  // null: not there
};
using NamedViews = std::initializer_list<NamedView>;

template <class T>
void check_shape(std::string_view function, std::string_view name, const TensorView<T>& view,
                 const Shape& expected) {
  require(view.shape() == expected, [&] {
    return Error(function, describe(std::string(name) + " must have the shape", expected),
                 to_string(view.shape()));
  });
}

template <class T>
void check_input(std::string_view function, std::string_view name, const TensorView<T>& view,
                 const Shape& expected) {
  check_shape(function, name, view, expected);
  require_given(function, name, view);
}

template <class T>
void check_output(std::string_view function, std::string_view name, const TensorView<T>& view,
                  const Shape& expected) {
  check_shape(function, name, view, expected);
  require_writable(function, name, view);
}

bool share_memory(const AnyView& a, const AnyView& b) {
  return a.data() != nullptr && b.data() != nullptr &&
         may_overlap({.base = a.data(), .layout = a.layout(), .element_size = size_of(a.dtype())},
                     {.base = b.data(), .layout = b.layout(), .element_size = size_of(b.dtype())});
}

void require_apart(std::string_view function, const NamedView& a, const NamedView& b) {
  require(!share_memory(a.view, b.view), function,
          "an output must not overlap an input or another output",
          [&] { return std::string(a.name) + " and " + std::string(b.name) + " share memory"; });
}

void check_apart(std::string_view function, NamedViews written, NamedViews read) {
  for (const NamedView* output = written.begin(); output != written.end(); ++output) {
    for (const NamedView& input : read) {
      require_apart(function, *output, input);
    }
    for (const NamedView* other = written.begin(); other != output; ++other) {
      require_apart(function, *output, *other);
    }
  }
}

/// The last extent of x, which is checked.
template <class T>
std::int64_t checked_features(std::string_view function, TensorView<const T> x,
                              TensorView<const T> weight, double epsilon) {
  require(x.rank() >= 1, function, "x must have the shape (..., E)",
          [&] { return to_string(x.shape()); });
  require_given(function, "x", x);
  const std::int64_t E = x.size(x.rank() - 1);
  if (!weight.is_null()) {
    check_input(function, "weight", weight, {E});
  }
  require(std::isfinite(epsilon) && epsilon >= 0, function,
          "epsilon must be finite and not negative", [&] { return std::to_string(epsilon); });
  return E;
}

}  // namespace

template <class T>
NormProblem<T> checked_norm(std::string_view function, NormKind kind, TensorView<const T> x,
                            TensorView<const T> weight, TensorView<const T> bias, double epsilon) {
  const std::int64_t E = checked_features(function, x, weight, epsilon);
  if (!bias.is_null()) {
    check_input(function, "bias", bias, {E});
  }
  NormProblem<T> problem;
  problem.kind = kind;
  problem.epsilon = epsilon;
  problem.x = RowsOf<const T>(x);
  problem.weight = weight;
  problem.bias = bias;
  return problem;
}

template <class T>
NormBackwardProblem<T> checked_norm_backward(std::string_view function, NormKind kind,
                                             const LayerNormBackwardInputs<T>& inputs,
                                             double epsilon) {
  checked_features(function, inputs.x, inputs.weight, epsilon);
  check_input(function, "d_out", inputs.d_out, inputs.x.shape());
  NormBackwardProblem<T> problem;
  if (kind == NormKind::layer) {
    check_input(function, "saved.mean", inputs.saved.mean, rows_shape(inputs.x.shape()));
    problem.mean = RowsOf<const T>::elements(inputs.saved.mean);
  }
  check_input(function, "saved.rstd", inputs.saved.rstd, rows_shape(inputs.x.shape()));
  problem.kind = kind;
  problem.epsilon = epsilon;
  problem.d_out = RowsOf<const T>(inputs.d_out);
  problem.x = RowsOf<const T>(inputs.x);
  problem.weight = inputs.weight;
  problem.rstd = RowsOf<const T>::elements(inputs.saved.rstd);
  return problem;
}

Shape rows_shape(const Shape& x) {
  Shape shape = x;
  shape.erase(shape.rank() - 1);
  return shape;
}

template <class T>
void set_outputs(NormProblem<T>& problem, const LayerNormOutputs<T>& outputs) {
  problem.out = RowsOf<T>(outputs.out);
  problem.mean = RowsOf<T>::elements(outputs.mean);
  problem.rstd = RowsOf<T>::elements(outputs.rstd);
}

template <class T>
void set_outputs(NormBackwardProblem<T>& problem, const LayerNormGradientOutputs<T>& gradients) {
  problem.d_x = RowsOf<T>(gradients.x);
  problem.d_weight = gradients.weight;
  problem.d_bias = gradients.bias;
}

template <class T>
void check_outputs(std::string_view function, const LayerNormOutputs<T>& outputs,
                   TensorView<const T> x, TensorView<const T> weight, TensorView<const T> bias) {
  check_output(function, "out", outputs.out, x.shape());
  if (!outputs.mean.is_null()) {
    check_output(function, "mean", outputs.mean, rows_shape(x.shape()));
  }
  if (!outputs.rstd.is_null()) {
    check_output(function, "rstd", outputs.rstd, rows_shape(x.shape()));
  }
  const bool in_place = outputs.out.data() == x.data() && outputs.out.strides() == x.strides();
  if (!in_place) {
    require_apart(function, {"out", outputs.out}, {"x", x});
  }
  check_apart(function, {{"out", outputs.out}, {"mean", outputs.mean}, {"rstd", outputs.rstd}},
              {{"weight", weight}, {"bias", bias}});
  check_apart(function, {{"mean", outputs.mean}, {"rstd", outputs.rstd}}, {{"x", x}});
}

template <class T>
void check_outputs(std::string_view function, NormKind kind,
                   const LayerNormGradientOutputs<T>& gradients,
                   const LayerNormBackwardInputs<T>& inputs) {
  const Shape features = {inputs.x.size(inputs.x.rank() - 1)};
  check_output(function, "gradients.x", gradients.x, inputs.x.shape());
  check_output(function, "gradients.weight", gradients.weight, features);
  if (kind == NormKind::layer) {
    check_output(function, "gradients.bias", gradients.bias, features);
  }
  check_apart(function,
              {{"gradients.x", gradients.x},
               {"gradients.weight", gradients.weight},
               {"gradients.bias", gradients.bias}},
              {{"d_out", inputs.d_out},
               {"x", inputs.x},
               {"weight", inputs.weight},
               {"saved.mean", inputs.saved.mean},
               {"saved.rstd", inputs.saved.rstd}});
}

template NormProblem<float> checked_norm(std::string_view, NormKind, TensorView<const float>,
                                         TensorView<const float>, TensorView<const float>, double);
template NormProblem<double> checked_norm(std::string_view, NormKind, TensorView<const double>,
                                          TensorView<const double>, TensorView<const double>,
                                          double);
template NormBackwardProblem<float> checked_norm_backward(std::string_view, NormKind,
                                                          const LayerNormBackwardInputs<float>&,
                                                          double);
template NormBackwardProblem<double> checked_norm_backward(std::string_view, NormKind,
                                                           const LayerNormBackwardInputs<double>&,
                                                           double);
template void set_outputs(NormProblem<float>&, const LayerNormOutputs<float>&);
template void set_outputs(NormProblem<double>&, const LayerNormOutputs<double>&);
template void set_outputs(NormBackwardProblem<float>&, const LayerNormGradientOutputs<float>&);
template void set_outputs(NormBackwardProblem<double>&, const LayerNormGradientOutputs<double>&);
template void check_outputs(std::string_view, const LayerNormOutputs<float>&,
                            TensorView<const float>, TensorView<const float>,
                            TensorView<const float>);
template void check_outputs(std::string_view, const LayerNormOutputs<double>&,
                            TensorView<const double>, TensorView<const double>,
                            TensorView<const double>);
template void check_outputs(std::string_view, NormKind, const LayerNormGradientOutputs<float>&,
                            const LayerNormBackwardInputs<float>&);
template void check_outputs(std::string_view, NormKind, const LayerNormGradientOutputs<double>&,
                            const LayerNormBackwardInputs<double>&);

}  // namespace attention::detail
