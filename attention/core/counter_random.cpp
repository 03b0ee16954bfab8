#include <attention/core/counter_random.hpp>

namespace attention::random {
namespace {

constexpr std::uint32_t low_word(std::uint64_t x) {
  return static_cast<std::uint32_t>(x);
}
constexpr std::uint32_t high_word(std::uint64_t x) {
  return static_cast<std::uint32_t>(x >> 32);
}

}  // namespace

FourWords philox(FourWords x, std::uint64_t key) noexcept {
  std::uint32_t k0 = low_word(key);
  std::uint32_t k1 = high_word(key);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * x[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * x[2];
    x = {high_word(product1) ^ x[1] ^ k0, low_word(product1), high_word(product0) ^ x[3] ^ k1,
         low_word(product0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return x;
}

DropoutMask::DropoutMask(double probability, std::uint64_t seed, std::uint64_t call) noexcept
    // (The product with a power of 2 is exact, the conversion rounds down.)
    : threshold_(static_cast<std::uint64_t>(probability * 0x1p32)),
      factor_(probability < 1 ? 1 / (1 - probability) : 0) {
  const FourWords words = philox({low_word(call), high_word(call), 0, 0}, seed);
  key_ = std::uint64_t{words[1]} << 32 | words[0];
}

FourWords DropoutMask::words_of_elements(std::int64_t group) const noexcept {
  const auto number = static_cast<std::uint64_t>(group);
  return philox({low_word(number), high_word(number), 0, 0}, key_);
}

bool DropoutMask::keeps_weight(std::int64_t head, std::int64_t i, std::int64_t j) const noexcept {
  const auto word = [](std::int64_t n) { return low_word(static_cast<std::uint64_t>(n)); };
  const FourWords words = philox({word(j / 4), word(i), word(head), 1}, key_);
  return keeps(words[static_cast<std::size_t>(j % 4)]);
}

}  // namespace attention::random
