#include <array>
#include <cstdint>
#include <cstring>

#include <attention/core/isa.hpp>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace attention {
namespace {

#if defined(__x86_64__)
/// (Not among the names that every supported compiler's __builtin_cpu_supports knows.)
bool has_f16c() {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

std::string_view name_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::portable:
      return "portable";
    case Isa::neon:
      return "neon";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_bf16:
      return "avx512_bf16";
  }
  return "unknown";
}

std::optional<Isa> isa_of_name(std::string_view name) noexcept {
  for (const Isa isa : {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
    if (name_of(isa) == name) {
      return isa;
    }
  }
  return {};
}

std::vector<Isa> isas_of_this_cpu() {
  std::vector<Isa> isas = {Isa::portable};
#if defined(__x86_64__)
  // The compiler's runtime asks the processor and whether the operating system saves the wide
  // registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) {
    isas.push_back(Isa::avx2);
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    isas.push_back(Isa::avx512);
    if (__builtin_cpu_supports("avx512bf16")) {
      isas.push_back(Isa::avx512_bf16);
    }
  }
#elif defined(__aarch64__)
  isas.push_back(Isa::neon);
#endif
  return isas;
}

std::string cpu_name() {
#if defined(__x86_64__)
  std::array<std::uint32_t, 12> words = {};
  for (std::uint32_t leaf = 0; leaf < 3; ++leaf) {
    std::uint32_t* const w = words.data() + std::size_t{4} * leaf;
    if (__get_cpuid(0x80000002U + leaf, w, w + 1, w + 2, w + 3) == 0) {
      return "unknown";
    }
  }
  std::array<char, sizeof(words) + 1> text = {};
  std::memcpy(text.data(), words.data(), sizeof(words));
  const std::string name(text.data());
  const std::size_t first = name.find_first_not_of(' ');
  return first == std::string::npos ? "unknown"
                                    : name.substr(first, name.find_last_not_of(' ') - first + 1);
#else
  return "unknown";
#endif
}

}  // namespace attention
