#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <attention/autograd/detail/node.hpp>
#include <attention/autograd/functions.hpp>
#include <attention/ops/sdpa_backward.hpp>

namespace attention::autograd {
namespace {

using detail::receive;
using detail::record;

/// The options with the mask and the sinks that have gradients.
template <class T>
SdpaOptions with_extras(const SdpaOptions& options, const SdpaExtras<T>& extras) {
  SdpaOptions result = options;
  if (!extras.bias.is_null()) {
    require(options.mask.kind() == MaskKind::none, "autograd::sdpa",
            "options.mask must be none where bias is given", [&] {
              return "a mask of shape " + to_string(options.mask.view().shape()) +
                     ", bias of shape " + to_string(extras.bias.shape());
            });
    result.mask = Mask::add(extras.bias.value());
    result.return_mask_gradient = extras.bias.requires_grad();
  }
  if (!extras.sinks.is_null()) {
    require(options.sinks.is_null(), "autograd::sdpa",
            "options.sinks must be null where sinks have a gradient", [&] {
              return "sinks of shapes " + to_string(options.sinks.shape()) + " and " +
                     to_string(extras.sinks.shape());
            });
    result.sinks = extras.sinks.value();
  }
  return result;
}

template <class T>
void check_ranks(const Variable<T>& q, const Variable<T>& k, const Variable<T>& v) {
  require(q.value().rank() == 4 && k.value().rank() == 4 && v.value().rank() == 4, "autograd::sdpa",
          "q, k and v must have the shapes (B, H, L, D), (B, Hkv, S, D), (B, Hkv, S, Dv)", [&] {
            return "q " + to_string(q.value().shape()) + ", k " + to_string(k.value().shape()) +
                   ", v " + to_string(v.value().shape());
          });
}

}  // namespace

template <class T>
SdpaOutput<T> sdpa(const Variable<T>& q, const Variable<T>& k, const Variable<T>& v,
                   const SdpaOptions& options, const SdpaExtras<T>& extras) {
  check_ranks(q, k, v);
  const SdpaOptions all = with_extras(options, extras);
  const SdpaSize size{.B = q.size(0),
                      .H = q.size(1),
                      .Hkv = k.size(1),
                      .L = q.size(2),
                      .S = k.size(2),
                      .D = q.size(3),
                      .Dv = v.size(3),
                      .dtype = kDTypeOf<T>};
  // Heads inside: joining them again is a view.
  Tensor<T> joined = Tensor<T>::for_overwrite({size.B, size.L, size.H, size.Dv});
  const TensorView<T> out = joined.view().transpose(1, 2);
  Tensor<T> lse = Tensor<T>::for_overwrite({size.B, size.H, size.L});
  SdpaOutput<T> result;
  if (options.return_weights) {
    result.weights = Tensor<T>::for_overwrite({size.B, size.H, size.L, size.S});
  }
  const std::size_t bytes = sdpa_workspace_size(size, options.execution);
  const auto workspace = std::make_unique_for_overwrite<std::byte[]>(bytes);
  sdpa_into(
      SdpaOutputs<T>{.out = out,
                     .lse = lse,
                     .weights = options.return_weights ? result.weights.view() : TensorView<T>()},
      q.value(), k.value(), v.value(), all, {workspace.get(), bytes});
  const Variable<T>& bias = extras.bias;
  const Variable<T>& sinks = extras.sinks;
  result.out = record<T>(
      "sdpa", std::move(joined), {q, k, v, bias, sinks},
      [q, k, v, bias, sinks, all, keep = extras.keep, lse = std::move(lse)](
          TensorView<const T> d_out, TensorView<const T> attended) {
        SdpaGradients<T> gradients = sdpa_backward(d_out, q.value(), k.value(), v.value(),
                                                   {.out = attended, .lse = lse}, all);
        receive(q, std::move(gradients.q));
        receive(k, std::move(gradients.k));
        receive(v, std::move(gradients.v));
        receive(bias, std::move(gradients.mask));
        receive(sinks, std::move(gradients.sinks));
      },
      TensorView<const T>(out));
  return result;
}

template SdpaOutput<float> sdpa(const Variable<float>&, const Variable<float>&,
                                const Variable<float>&, const SdpaOptions&,
                                const SdpaExtras<float>&);
template SdpaOutput<double> sdpa(const Variable<double>&, const Variable<double>&,
                                 const Variable<double>&, const SdpaOptions&,
                                 const SdpaExtras<double>&);

}  // namespace attention::autograd
