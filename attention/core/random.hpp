#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

/// Random numbers that equal those of PyTorch on the CPU for the same seed.
namespace attention::random {

/// The stream behind torch.Generator(device="cpu"): mt19937, seeded with the low 32 bits of the
/// seed.
///
/// Seeds are reduced as torch does: negative ones count as their two's complement, so -1 and 2^64 -
/// 1 give the same stream, and so do 42 and 2^32 + 42.
///
/// Not safe to share between threads without a lock.
/// See also: uniform, normal.
class ATTENTION_API Generator {
 public:
  /// torch's own seed of a generator that nobody seeded.
  static constexpr std::uint64_t kDefaultSeed = 67280421310721;

  explicit Generator(std::uint64_t seed = kDefaultSeed);

  /// Starts the stream of `seed` again from its beginning.
  void manual_seed(std::uint64_t seed);
  std::uint64_t initial_seed() const noexcept { return seed_; }

  /// The next 32 bits.
  std::uint32_t next_u32() { return static_cast<std::uint32_t>(engine_()); }
  /// The next 64 bits: two draws, the first is the upper half.
  std::uint64_t next_u64();
  /// All that the stream goes on from, as text; from_state gives a generator that goes on from
  /// there, or none for a text that is no such state.
  std::string state() const;
  static std::optional<Generator> from_state(std::string_view text);

  /// One standard normal draw in double by Box and Muller, which makes two and keeps the second for
  /// the next call.
  double next_normal();

 private:
  std::uint64_t seed_;
  std::mt19937 engine_;
  std::optional<double> spare_normal_;
};

/// The generator that layers use when none is given.
ATTENTION_API Generator& default_generator();

/// Seeds the default generator, and nothing else.
ATTENTION_API void manual_seed(std::uint64_t seed);

/// Fills `out` with draws from the uniform distribution on [low, high), in row-major order.
///
/// x = (u & (2^24 - 1)) * 2^-24 for float (2^53 for double, from 64 bits), then fma(x, high - low,
/// low) with the bounds rounded to the element type first: the rounding that PyTorch's released
/// x86-64 wheels show. Bit-equal to `torch.empty(shape).uniform_(low, high)`, which the goldens
/// check.
///
/// Throws Error unless low <= high and high - low is finite in the element type.
ATTENTION_API void uniform(TensorView<float> out, double low, double high, Generator& generator);
ATTENTION_API void uniform(TensorView<double> out, double low, double high, Generator& generator);

/// Fills `out` with draws from the normal distribution, in row-major order, in torch's order and
/// within 4 ulp of `torch.empty(shape).normal_(mean, std)`: for 16 elements and more, uniform draws
/// are turned into normal ones in blocks of 16 (cosines first, then sines), the last block drawn
/// anew if it is not whole; for fewer, one at a time.
///
/// Throws Error when `standard_deviation` is negative or not finite.
ATTENTION_API void normal(TensorView<float> out, double mean, double standard_deviation,
                          Generator& generator);
ATTENTION_API void normal(TensorView<double> out, double mean, double standard_deviation,
                          Generator& generator);

}  // namespace attention::random
