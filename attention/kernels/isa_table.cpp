#include <algorithm>
#include <iterator>
#include <vector>

#include <attention/kernels/isa_table.hpp>

namespace attention::kernels {

// One line here, one in the list below and one in attention/CMakeLists.txt for each instruction
// set.
namespace portable {
extern const IsaFunctions kFunctions;
}
namespace neon {
extern const IsaFunctions kFunctions;
}
namespace avx2 {
extern const IsaFunctions kFunctions;
}
namespace avx512 {
extern const IsaFunctions kFunctions;
}
namespace avx512_bf16 {
extern const IsaFunctions kFunctions;
}

namespace {

constexpr IsaKernels kCompiled[] = {
    {.isa = Isa::portable, .functions = &portable::kFunctions},
#if defined(__aarch64__)
    {.isa = Isa::neon, .functions = &neon::kFunctions},
#elif defined(__x86_64__)
    {.isa = Isa::avx2, .functions = &avx2::kFunctions},
    {.isa = Isa::avx512, .functions = &avx512::kFunctions},
    {.isa = Isa::avx512_bf16, .functions = &avx512_bf16::kFunctions},
#endif
};

}  // namespace

std::span<const IsaKernels> usable_isas() {
  static const std::vector<IsaKernels> kUsable = [] {
    const std::vector<Isa> offered = isas_of_this_cpu();
    std::vector<IsaKernels> usable;
    std::ranges::copy_if(kCompiled, std::back_inserter(usable), [&](const IsaKernels& kernels) {
      return std::ranges::find(offered, kernels.isa) != offered.end();
    });
    return usable;
  }();
  return kUsable;
}

}  // namespace attention::kernels
