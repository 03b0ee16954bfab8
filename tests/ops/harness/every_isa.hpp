#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/dtype.hpp>
#include <attention/ops/kernel_isas.hpp>

namespace attention::tests {

/// Tests of many problems run one of so many under the thread sanitizer: it takes fifty times as
/// long, and looks at threads, which do not differ from problem to problem.
#if defined(__SANITIZE_THREAD__)
inline constexpr std::size_t kOneOf = 17;
#else
inline constexpr std::size_t kOneOf = 1;
#endif

/// The instruction sets that the library has kernels for on some processor.
inline constexpr Isa kIsasWithKernels[] = {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512,
                                           Isa::avx512_bf16};

inline bool is_usable(Isa isa) {
  const std::vector<Isa> usable = kernel_isas();
  return std::ranges::find(usable, isa) != usable.end();
}

/// A test that runs once for each instruction set, and says where one is not there.
class OnEveryIsa : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!is_usable(GetParam())) {
      GTEST_SKIP() << "this processor, or this build, has no " << name_of(GetParam());
    }
  }
};

inline std::string name_of_isa(const ::testing::TestParamInfo<Isa>& isa) {
  return std::string(name_of(isa.param));
}

/// An instruction set and an element type that the fused path serves.
struct IsaAndDType {
  Isa isa;
  DType dtype;
};

class OnEveryIsaAndDType : public ::testing::TestWithParam<IsaAndDType> {
 protected:
  void SetUp() override {
    if (!is_usable(GetParam().isa)) {
      GTEST_SKIP() << "this processor, or this build, has no " << name_of(GetParam().isa);
    }
  }
};

inline std::vector<IsaAndDType> every_isa_and_dtype() {
  std::vector<IsaAndDType> result;
  for (const Isa isa : kIsasWithKernels) {
    for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
      result.push_back({.isa = isa, .dtype = dtype});
    }
  }
  return result;
}

inline std::string name_of_isa_and_dtype(const ::testing::TestParamInfo<IsaAndDType>& each) {
  return std::string(name_of(each.param.isa)) + "_" + std::string(name_of(each.param.dtype));
}

/// Calls function.template operator()<T>() for the element type of this dtype.
template <class Function>
void visit_fused_dtype(DType dtype, const Function& function) {
  switch (dtype) {
    case DType::float32:
      function.template operator()<float>();
      break;
    case DType::float16:
      function.template operator()<float16>();
      break;
    default:
      function.template operator()<bfloat16>();
      break;
  }
}

}  // namespace attention::tests
