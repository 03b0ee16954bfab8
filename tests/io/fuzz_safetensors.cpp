// libFuzzer's entry; see ATTENTION_BUILD_FUZZERS.

#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz_entry.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  attention::io::test::try_safetensors(std::as_bytes(std::span(data, size)));
  return 0;
}
