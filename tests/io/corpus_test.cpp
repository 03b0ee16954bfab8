// Replays the fuzzers' corpus: each input once, through the function that the fuzzers call.

#include <algorithm>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

#include "fuzz_entry.hpp"
#include "support.hpp"

namespace attention::io::test {
namespace {

std::vector<Bytes> inputs_in(const char* folder) {
  std::vector<Bytes> inputs;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(ATTENTION_TEST_CORPUS) / folder)) {
    inputs.push_back(read_bytes(entry.path()));
  }
  return inputs;
}

TEST(Corpus, Npy) {
  const std::vector<Bytes> inputs = inputs_in("npy");
  ASSERT_FALSE(inputs.empty());
  for (const Bytes& input : inputs) {
    EXPECT_NO_THROW(try_npy(input));
  }
}

TEST(Corpus, Npz) {
  const std::vector<Bytes> inputs = inputs_in("npz");
  ASSERT_FALSE(inputs.empty());
  for (const Bytes& input : inputs) {
    EXPECT_NO_THROW(try_npz(input));
  }
}

TEST(Corpus, Safetensors) {
  const std::vector<Bytes> inputs = inputs_in("safetensors");
  ASSERT_FALSE(inputs.empty());
  for (const Bytes& input : inputs) {
    EXPECT_NO_THROW(try_safetensors(input));
  }
}

}  // namespace
}  // namespace attention::io::test
