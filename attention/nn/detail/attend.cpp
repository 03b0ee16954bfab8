#include <cstddef>
#include <memory>

#include <attention/nn/detail/attend.hpp>

namespace attention::nn::detail {

void attend(const SdpaOutputs<float>& outputs, const Heads& heads, const SdpaOptions& options) {
  const auto& [q, k, v] = heads;
  const SdpaSize size{.B = q.size(0),
                      .H = q.size(1),
                      .Hkv = k.size(1),
                      .L = q.size(2),
                      .S = k.size(2),
                      .D = q.size(3),
                      .Dv = v.size(3)};
  const std::size_t bytes = sdpa_workspace_size(size, options.execution);
  const auto workspace = std::make_unique_for_overwrite<std::byte[]>(bytes);
  sdpa_into(outputs, q, k, v, options, {workspace.get(), bytes});
}

}  // namespace attention::nn::detail
