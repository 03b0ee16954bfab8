#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <attention/core/export.hpp>

/// Random numbers without a state: each is a function of its place, whoever computes it and when.
namespace attention::random {

/// Four words of 32 bits: a counter, or what it becomes.
using FourWords = std::array<std::uint32_t, 4>;

/// Computes Philox4x32-10: four random words from a counter of 128 bits and a key of 64.
///
/// Ten times
///
///   (x0, x1, x2, x3) <- (high(M1 x2) ^ x1 ^ k0, low(M1 x2), high(M0 x0) ^ x3 ^ k1, low(M0 x0))
///
/// where high and low are the halves of a product, M0 = 0xD2511F53 and M1 = 0xCD9E8D57; k0 is the
/// low word of the key, k1 the high one. From one round to the next k0 grows by 0x9E3779B9 and k1
/// by 0xBB67AE85. One key maps different counters to different words.
///
/// Cost: 20 multiplications. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
/// 3". See also: DropoutMask; kernels/isa/sdpa_dropout.hpp, the same in lanes.
ATTENTION_API FourWords philox(FourWords counter, std::uint64_t key) noexcept;

/// Which cells a call of dropout keeps. It depends on the seed, the number of the call and the
/// place of the cell alone: not on the element type, the path, the threads, nor on another cell.
///
///   a cell is kept if its word >= floor(probability 2^32); what is kept is times 1 / (1 -
///   probability)
///
/// The words come from philox, under a key for each call: the first two words of philox((call, 0,
/// 0), seed), where call takes two words. Element n of a tensor, in row-major order, has word n % 4
/// of philox((n / 4, 0, 0), key), where n / 4 takes two words. The weight of query i and key j in
/// head h of batch entry b has word j % 4 of philox((j / 4, i, b H + h, 1), key), each modulo 2^32.
///
/// Two calls that are to drop independently need different numbers, or different seeds.
class ATTENTION_API DropoutMask {
 public:
  /// Keeps all.
  DropoutMask() = default;
  /// probability in [0, 1]: 0 keeps all, 1 drops all.
  DropoutMask(double probability, std::uint64_t seed, std::uint64_t call) noexcept;

  /// False when every cell is kept, whatever its word.
  bool drops_any() const noexcept { return threshold_ > 0; }
  bool keeps(std::uint32_t word) const noexcept { return word >= threshold_; }
  /// By which a kept cell is multiplied; 0 where none is kept.
  double factor() const noexcept { return factor_; }
  /// floor(probability 2^32).
  std::uint64_t threshold() const noexcept { return threshold_; }
  std::uint64_t key() const noexcept { return key_; }

  /// The words of the elements 4 group to 4 group + 3 of a tensor.
  FourWords words_of_elements(std::int64_t group) const noexcept;
  /// The cell of query i and key j; head = b H + h.
  bool keeps_weight(std::int64_t head, std::int64_t i, std::int64_t j) const noexcept;

 private:
  std::uint64_t threshold_ = 0;
  std::uint64_t key_ = 0;
  double factor_ = 1;
};

}  // namespace attention::random
