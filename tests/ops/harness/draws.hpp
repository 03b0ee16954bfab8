#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace attention::tests {

/// A seeded stream of numbers (splitmix64): the same on every platform and apart from
/// attention::random, so that a printed seed names a problem for good.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

  /// An integer of [0, bound).
  std::int64_t below(std::int64_t bound) noexcept {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(bound));
  }

  /// A number of [0, 1).
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// Mean 0 and variance 1, as good as normal here: twelve uniform draws.
  double normal() noexcept {
    double sum = -6;
    for (int i = 0; i < 12; ++i) {
      sum += unit();
    }
    return sum;
  }

  bool chance(double probability) noexcept { return unit() < probability; }

  template <class T>
  T one_of(std::initializer_list<T> choices) noexcept {
    return choices.begin()[below(static_cast<std::int64_t>(choices.size()))];
  }

 private:
  std::uint64_t state_;
};

}  // namespace attention::tests
