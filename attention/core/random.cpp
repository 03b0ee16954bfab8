#include <bit>
#include <cmath>
#include <locale>
#include <numbers>
#include <sstream>
#include <string>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/core/random.hpp>

namespace attention::random {
namespace {

/// [0, 1) from the low bits of one draw: as many as the fraction holds.
template <class T>
T unit(Generator& generator);

template <>
float unit<float>(Generator& generator) {
  return static_cast<float>(generator.next_u32() & 0xFFFFFFU) * 0x1p-24F;
}

template <>
double unit<double>(Generator& generator) {
  return static_cast<double>(generator.next_u64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

template <class T>
void fill_uniform(TensorView<T> out, double low, double high, Generator& generator) {
  const T from = static_cast<T>(low);
  const T width = static_cast<T>(high) - from;
  require(low <= high && std::isfinite(width), "random::uniform",
          "low must not exceed high, and both must be finite",
          [&] { return "low " + std::to_string(low) + ", high " + std::to_string(high); });
  for_each_offset(
      out.shape(),
      [&](std::int64_t offset) { out.data()[offset] = std::fma(unit<T>(generator), width, from); },
      out.strides());
}

/// Box and Muller over 16 values: the first 8 are radii, the last 8 angles; every step rounds to T,
/// as torch's does.
template <class T>
void box_muller_16(T* values) {
  for (int i = 0; i < 8; ++i) {
    const T radius = std::sqrt(T{-2} * std::log(T{1} - values[i]));
    const T angle = static_cast<T>(2.0 * std::numbers::pi) * values[i + 8];
    values[i] = radius * std::cos(angle);
    values[i + 8] = radius * std::sin(angle);
  }
}

template <class T>
void fill_normal(TensorView<T> out, double mean, double standard_deviation, Generator& generator) {
  require(standard_deviation >= 0 && std::isfinite(standard_deviation), "random::normal",
          "the standard deviation must be finite and not negative",
          [&] { return std::to_string(standard_deviation); });
  const auto count = static_cast<std::size_t>(out.element_count());
  std::vector<T> values(count);
  if (count < 16) {
    for (T& value : values) {
      value = static_cast<T>(generator.next_normal() * standard_deviation + mean);
    }
  } else {
    const auto scaled_block = [&](T* block) {
      box_muller_16(block);
      for (int i = 0; i < 16; ++i) {
        block[i] = std::fma(block[i], static_cast<T>(standard_deviation), static_cast<T>(mean));
      }
    };
    for (T& value : values) {
      value = unit<T>(generator);
    }
    for (std::size_t start = 0; start + 16 <= count; start += 16) {
      scaled_block(values.data() + start);
    }
    if (count % 16 != 0) {
      T* const last = values.data() + count - 16;
      for (int i = 0; i < 16; ++i) {
        last[i] = unit<T>(generator);
      }
      scaled_block(last);
    }
  }
  const T* next = values.data();
  for_each_offset(
      out.shape(), [&](std::int64_t offset) { out.data()[offset] = *next++; }, out.strides());
}

}  // namespace

Generator::Generator(std::uint64_t seed) : seed_(seed), engine_(static_cast<std::uint32_t>(seed)) {}

void Generator::manual_seed(std::uint64_t seed) {
  *this = Generator(seed);
}

std::uint64_t Generator::next_u64() {
  const std::uint64_t upper = next_u32();
  return (upper << 32) | next_u32();
}

std::string Generator::state() const {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << seed_ << ' ' << (spare_normal_ ? 1 : 0) << ' '
       << std::bit_cast<std::uint64_t>(spare_normal_.value_or(0.0)) << ' ' << engine_;
  return text.str();
}

std::optional<Generator> Generator::from_state(std::string_view text) {
  std::istringstream words{std::string(text)};
  words.imbue(std::locale::classic());
  std::uint64_t seed = 0;
  std::uint64_t has_spare = 0;
  std::uint64_t spare = 0;
  words >> seed >> has_spare >> spare;
  // The engine reads its words without a look at them: 32 bits each, and its place among them.
  std::ostringstream checked;
  checked.imbue(std::locale::classic());
  for (std::size_t n = 0; n <= std::mt19937::state_size; ++n) {
    std::uint64_t word = 0;
    words >> word;
    if (!words ||
        word > (n < std::mt19937::state_size ? std::mt19937::max() : std::mt19937::state_size)) {
      return std::nullopt;
    }
    checked << word << ' ';
  }
  std::string rest;
  if (words >> rest || has_spare > 1) {
    return std::nullopt;
  }
  Generator generator(seed);
  std::istringstream engine(checked.str());
  engine.imbue(std::locale::classic());
  engine >> generator.engine_;
  if (has_spare == 1) {
    generator.spare_normal_ = std::bit_cast<double>(spare);
  }
  return generator;
}

double Generator::next_normal() {
  if (spare_normal_) {
    const double value = *spare_normal_;
    spare_normal_.reset();
    return value;
  }
  const double angle = 2.0 * std::numbers::pi * unit<double>(*this);
  const double radius = std::sqrt(-2.0 * std::log1p(-unit<double>(*this)));
  spare_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

Generator& default_generator() {
  static Generator generator;
  return generator;
}

void manual_seed(std::uint64_t seed) {
  default_generator().manual_seed(seed);
}

void uniform(TensorView<float> out, double low, double high, Generator& generator) {
  fill_uniform(out, low, high, generator);
}

void uniform(TensorView<double> out, double low, double high, Generator& generator) {
  fill_uniform(out, low, high, generator);
}

void normal(TensorView<float> out, double mean, double standard_deviation, Generator& generator) {
  fill_normal(out, mean, standard_deviation, generator);
}

void normal(TensorView<double> out, double mean, double standard_deviation, Generator& generator) {
  fill_normal(out, mean, standard_deviation, generator);
}

}  // namespace attention::random
