#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include <attention/core/error.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/kernel_isas.hpp>

namespace attention {
namespace detail {
namespace {

const kernels::IsaKernels* find_isa(std::optional<Isa> isa) {
  const auto usable = kernels::usable_isas();
  const auto found = std::ranges::find(usable, isa, &kernels::IsaKernels::isa);
  return found == usable.end() ? nullptr : &*found;
}

Error unusable(std::string_view function, std::string_view who, std::string_view found) {
  std::string names;
  for (const kernels::IsaKernels& kernels : kernels::usable_isas()) {
    names += (names.empty() ? "" : ", ") + std::string(name_of(kernels.isa));
  }
  return {function,
          std::string(who) +
              " must name an instruction set that this library has kernels for and this processor "
              "runs: " +
              names,
          found};
}

/// ATTENTION_ISA as it was when first asked for; null if not set.
const std::string* variable() {
  static const std::optional<std::string> kValue = [] {
    const char* const value = std::getenv("ATTENTION_ISA");
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  }();
  return kValue ? &*kValue : nullptr;
}

}  // namespace

const kernels::IsaKernels& choose_isa(std::string_view function, const Execution& execution) {
  if (execution.isa) {
    const kernels::IsaKernels* const asked = find_isa(execution.isa);
    if (asked == nullptr) {
      throw unusable(function, "execution.isa", name_of(*execution.isa));
    }
    return *asked;
  }
  if (variable() != nullptr) {
    static const kernels::IsaKernels* const kNamed = find_isa(isa_of_name(*variable()));
    if (kNamed == nullptr) {
      throw unusable(function, "ATTENTION_ISA", "'" + *variable() + "'");
    }
    return *kNamed;
  }
  return kernels::usable_isas().back();
}

}  // namespace detail

std::vector<Isa> kernel_isas() {
  std::vector<Isa> isas;
  for (const kernels::IsaKernels& kernels : kernels::usable_isas()) {
    isas.push_back(kernels.isa);
  }
  return isas;
}

Isa default_kernel_isa() {
  return detail::choose_isa("default_kernel_isa", {}).isa;
}

}  // namespace attention
