#include <cstddef>
#include <vector>

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
  std::vector<std::byte> workspace(sdpa_workspace_size(size, options.execution));
  sdpa_into(outputs, q, k, v, options, workspace);
}

}  // namespace attention::nn::detail
