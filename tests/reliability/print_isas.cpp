#include <cstdio>
#include <string>

#include <attention/ops/kernel_isas.hpp>

/// Prints the instruction sets that the fused path can use here, and the one that it uses.
int main() {
  for (const attention::Isa isa : attention::kernel_isas()) {
    std::printf("%s ", std::string(name_of(isa)).c_str());
  }
  std::printf("(uses %s)\n", std::string(name_of(attention::default_kernel_isa())).c_str());
}
