#include <cstddef>
#include <memory>

#include <attention/nn/detail/attend.hpp>

namespace attention::nn::detail {

template <class T>
void attend(const SdpaOutputs<T>& outputs, const Heads<T>& heads, const SdpaOptions& options) {
  const auto& [q, k, v] = heads;
  const SdpaSize size{.B = q.size(0),
                      .H = q.size(1),
                      .Hkv = k.size(1),
                      .L = q.size(2),
                      .S = k.size(2),
                      .D = q.size(3),
                      .Dv = v.size(3),
                      .dtype = kDTypeOf<T>};
  const std::size_t bytes = sdpa_workspace_size(size, options.execution);
  const auto workspace = std::make_unique_for_overwrite<std::byte[]>(bytes);
  sdpa_into(outputs, q, k, v, options, {workspace.get(), bytes});
}

template void attend(const SdpaOutputs<float>&, const Heads<float>&, const SdpaOptions&);
template void attend(const SdpaOutputs<double>&, const Heads<double>&, const SdpaOptions&);

}  // namespace attention::nn::detail
