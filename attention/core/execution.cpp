#include <attention/core/execution.hpp>

namespace attention {

std::string_view name_of(Path path) noexcept {
  switch (path) {
    case Path::automatic:
      return "automatic";
    case Path::fused:
      return "fused";
    case Path::reference:
      return "reference";
  }
  return "unknown";
}

}  // namespace attention
