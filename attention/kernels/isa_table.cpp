#include <algorithm>
#include <iterator>
#include <vector>

#include <attention/kernels/isa_table.hpp>

namespace attention::kernels {

// One line here and one in the list below for each instruction set; cmake/AttentionIsa.cmake says
// which of them are compiled.
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
#if defined(ATTENTION_KERNELS_neon)
    {.isa = Isa::neon, .functions = &neon::kFunctions},
#endif
#if defined(ATTENTION_KERNELS_avx2)
    {.isa = Isa::avx2, .functions = &avx2::kFunctions},
#endif
#if defined(ATTENTION_KERNELS_avx512)
    {.isa = Isa::avx512, .functions = &avx512::kFunctions},
#endif
#if defined(ATTENTION_KERNELS_avx512_bf16)
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
