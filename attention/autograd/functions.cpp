#include <string>
#include <utility>
#include <vector>

#include <attention/autograd/detail/node.hpp>
#include <attention/autograd/functions.hpp>
#include <attention/ops/concat.hpp>
#include <attention/ops/elementwise.hpp>
#include <attention/ops/linear_backward.hpp>
#include <attention/ops/rms_norm.hpp>
#include <attention/ops/softmax.hpp>

namespace attention::autograd {

using detail::receive;
using detail::record;

namespace {

/// Whether a result will be recorded.
template <class... Variables>
bool records(const Variables&... inputs) {
  return is_recording() && (inputs.requires_grad() || ...);
}

/// Integers for the way back: a copy, since data of a step often ends before backward does.
AnyTensor kept(const AnyView& integers, bool recorded) {
  if (!recorded) {
    return {};
  }
  return visit(integers.dtype(),
               [&]<class I>() -> AnyTensor { return Tensor<I>::copy_of(integers.as<I>()); });
}

}  // namespace

template <class T>
Variable<T> linear(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                   const LinearOptions& options) {
  if (options.activation != Activation::none && records(x, weight, bias)) {
    return activation<T>(linear<T>(x, weight, bias, {.execution = options.execution}),
                         {.activation = options.activation, .execution = options.execution});
  }
  Tensor<T> out = attention::linear(x.value(), weight.value(), bias.value(), options);
  return record<T>("linear", std::move(out), {x, weight, bias},
                   [x, weight, bias, execution = options.execution](TensorView<const T> d_out,
                                                                    TensorView<const T> /*out*/) {
                     LinearGradients<T> gradients =
                         linear_backward(d_out, x.value(), weight.value(),
                                         {.wants_x = x.requires_grad(),
                                          .wants_weight = weight.requires_grad(),
                                          .wants_bias = bias.requires_grad(),
                                          .execution = execution});
                     receive(x, std::move(gradients.x));
                     receive(weight, std::move(gradients.weight));
                     receive(bias, std::move(gradients.bias));
                   });
}

template <class T>
Variable<T> activation(const Variable<T>& x, const ActivationOptions& options) {
  return record<T>("activation", attention::activation(x.value(), options), {x},
                   [x, options](TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     receive(x, activation_backward(d_out, x.value(), options));
                   });
}

template <class T>
Variable<T> softmax(const Variable<T>& x, const Execution& execution) {
  return record<T>("softmax", attention::softmax(x.value(), execution), {x},
                   [x, execution](TensorView<const T> d_out, TensorView<const T> out) {
                     receive(x, softmax_backward(d_out, out, execution));
                   });
}

template <class T>
Variable<T> layer_norm(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                       const NormOptions& options) {
  LayerNormResult<T> result =
      attention::layer_norm(x.value(), weight.value(), bias.value(), options);
  return record<T>(
      "layer_norm", std::move(result.out), {x, weight, bias},
      [x, weight, bias, options, mean = std::move(result.mean), rstd = std::move(result.rstd)](
          TensorView<const T> d_out, TensorView<const T> /*out*/) {
        LayerNormGradients<T> gradients =
            layer_norm_backward(d_out, x.value(), weight.value(),
                                LayerNormSaved<T>{.mean = mean, .rstd = rstd}, options);
        receive(x, std::move(gradients.x));
        receive(weight, std::move(gradients.weight));
        receive(bias, std::move(gradients.bias));
      });
}

template <class T>
Variable<T> rms_norm(const Variable<T>& x, const Variable<T>& weight, const NormOptions& options) {
  RmsNormResult<T> result = attention::rms_norm(x.value(), weight.value(), options);
  return record<T>("rms_norm", std::move(result.out), {x, weight},
                   [x, weight, options, rstd = std::move(result.rstd)](
                       TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     RmsNormGradients<T> gradients = rms_norm_backward(
                         d_out, x.value(), weight.value(), RmsNormSaved<T>{.rstd = rstd}, options);
                     receive(x, std::move(gradients.x));
                     receive(weight, std::move(gradients.weight));
                   });
}

template <class T>
Variable<T> embedding(const AnyView& indices, const Variable<T>& weight,
                      const EmbeddingOptions& options) {
  Tensor<T> out = attention::embedding(indices, weight.value(), options);
  return record<T>("embedding", std::move(out), {weight},
                   [indices = kept(indices, records(weight)), weight, options](
                       TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     receive(weight, embedding_backward(d_out, indices, weight.size(0), options));
                   });
}

template <class T>
Variable<T> dropout(const Variable<T>& x, const DropoutOptions& options) {
  return record<T>("dropout", attention::dropout(x.value(), options), {x},
                   [x, options](TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     receive(x, dropout_backward(d_out, options));
                   });
}

template <class T>
Variable<T> cross_entropy(const Variable<T>& logits, const AnyView& targets,
                          const CrossEntropyOptions& options) {
  CrossEntropyResult<T> result = attention::cross_entropy(logits.value(), targets, options);
  return record<T>(
      "cross_entropy", std::move(result.loss), {logits},
      [logits, targets = kept(targets, records(logits)), options, lse = std::move(result.lse)](
          TensorView<const T> d_loss, TensorView<const T> /*out*/) {
        receive(logits, cross_entropy_backward(d_loss, logits.value(), targets, lse, options));
      });
}

template <class T>
Variable<T> add(const Variable<T>& a, const Variable<T>& b, const Execution& execution) {
  return record<T>("add", attention::add(a.value(), b.value(), execution), {a, b},
                   [a, b, execution](TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     for (const Variable<T>& input : {a, b}) {
                       if (input.requires_grad()) {
                         receive(input, attention::sum_to(d_out, input.shape(), execution));
                       }
                     }
                   });
}

template <class T>
Variable<T> multiply(const Variable<T>& a, const Variable<T>& b, const Execution& execution) {
  return record<T>(
      "multiply", attention::multiply(a.value(), b.value(), execution), {a, b},
      [a, b, execution](TensorView<const T> d_out, TensorView<const T> /*out*/) {
        const auto go_back = [&](const Variable<T>& input, const Variable<T>& other) {
          if (input.requires_grad()) {
            const Tensor<T> product = attention::multiply(d_out, other.value(), execution);
            receive(input, attention::sum_to(product.view(), input.shape(), execution));
          }
        };
        go_back(a, b);
        go_back(b, a);
      });
}

template <class T>
Variable<T> scale(const Variable<T>& x, T factor, const Execution& execution) {
  return record<T>("scale", attention::scale(x.value(), static_cast<double>(factor), execution),
                   {x},
                   [x, factor, execution](TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     receive(x, attention::scale(d_out, static_cast<double>(factor), execution));
                   });
}

template <class T>
Variable<T> sum_to(const Variable<T>& x, const Shape& shape, const Execution& execution) {
  return record<T>("sum_to", attention::sum_to(x.value(), shape, execution), {x},
                   [x](TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     receive(x, Tensor<T>::copy_of(d_out.broadcast_to(x.shape())));
                   });
}

template <class T>
Variable<T> concat(std::span<const Variable<T>> parts, int dim, const Execution& execution) {
  std::vector<TensorView<const T>> values;
  values.reserve(parts.size());
  for (const Variable<T>& part : parts) {
    values.push_back(part.value());
  }
  const std::vector<Variable<T>> inputs(parts.begin(), parts.end());
  return record<T>("concat",
                   attention::concat(std::span<const TensorView<const T>>(values), dim, execution),
                   parts, [inputs, dim](TensorView<const T> d_out, TensorView<const T> /*out*/) {
                     std::int64_t start = 0;
                     for (const Variable<T>& input : inputs) {
                       const int axis = dim < 0 ? dim + input.rank() : dim;
                       const std::int64_t count = input.size(axis);
                       receive(input, Tensor<T>::copy_of(d_out.slice(axis, start, count)));
                       start += count;
                     }
                   });
}

template Variable<float> linear(const Variable<float>&, const Variable<float>&,
                                const Variable<float>&, const LinearOptions&);
template Variable<float> activation(const Variable<float>&, const ActivationOptions&);
template Variable<float> softmax(const Variable<float>&, const Execution&);
template Variable<float> layer_norm(const Variable<float>&, const Variable<float>&,
                                    const Variable<float>&, const NormOptions&);
template Variable<float> rms_norm(const Variable<float>&, const Variable<float>&,
                                  const NormOptions&);
template Variable<float> embedding(const AnyView&, const Variable<float>&, const EmbeddingOptions&);
template Variable<float> dropout(const Variable<float>&, const DropoutOptions&);
template Variable<float> cross_entropy(const Variable<float>&, const AnyView&,
                                       const CrossEntropyOptions&);
template Variable<float> add(const Variable<float>&, const Variable<float>&, const Execution&);
template Variable<float> multiply(const Variable<float>&, const Variable<float>&, const Execution&);
template Variable<float> scale(const Variable<float>&, float, const Execution&);
template Variable<float> sum_to(const Variable<float>&, const Shape&, const Execution&);
template Variable<float> concat(std::span<const Variable<float>>, int, const Execution&);

template Variable<double> linear(const Variable<double>&, const Variable<double>&,
                                 const Variable<double>&, const LinearOptions&);
template Variable<double> activation(const Variable<double>&, const ActivationOptions&);
template Variable<double> softmax(const Variable<double>&, const Execution&);
template Variable<double> layer_norm(const Variable<double>&, const Variable<double>&,
                                     const Variable<double>&, const NormOptions&);
template Variable<double> rms_norm(const Variable<double>&, const Variable<double>&,
                                   const NormOptions&);
template Variable<double> embedding(const AnyView&, const Variable<double>&,
                                    const EmbeddingOptions&);
template Variable<double> dropout(const Variable<double>&, const DropoutOptions&);
template Variable<double> cross_entropy(const Variable<double>&, const AnyView&,
                                        const CrossEntropyOptions&);
template Variable<double> add(const Variable<double>&, const Variable<double>&, const Execution&);
template Variable<double> multiply(const Variable<double>&, const Variable<double>&,
                                   const Execution&);
template Variable<double> scale(const Variable<double>&, double, const Execution&);
template Variable<double> sum_to(const Variable<double>&, const Shape&, const Execution&);
template Variable<double> concat(std::span<const Variable<double>>, int, const Execution&);

}  // namespace attention::autograd
