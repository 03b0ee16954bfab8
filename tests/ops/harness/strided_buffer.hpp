#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <attention/core/tensor.hpp>

#include "draws.hpp"

namespace attention::tests {

/// How a tensor lies in its buffer.
enum class Arrangement : std::uint8_t {
  dense,
  /// (B, L, H, D) in memory, seen as (B, H, L, D).
  heads_inside,
  /// As heads_inside, one of three slots of a packed buffer.
  packed,
  /// The dimensions in any order in memory, with gaps between them and between the elements.
  permuted,
  /// Some dimensions run backwards.
  reversed,
  /// Some dimensions have stride 0. For inputs only.
  repeated,
  /// Dense, but the base and each row start at an odd place.
  misaligned,
};

std::string_view name_of(Arrangement arrangement) noexcept;

/// A layout, where its element (0, 0, ...) lies, and how many elements its buffer has.
struct Place {
  Layout layout;
  std::int64_t base = 0;
  std::int64_t elements = 0;
};

Place place(const Shape& shape, Arrangement arrangement, Draws& draws);

/// A tensor of any arrangement inside a buffer whose other elements hold `filler`: a NaN shows that
/// somebody read them, and their bits whether somebody wrote them.
template <class T>
class StridedBuffer {
 public:
  StridedBuffer() = default;
  StridedBuffer(const Shape& shape, Arrangement arrangement, Draws& draws, T filler)
      : place_(place(shape, arrangement, draws)),
        storage_(Tensor<T>::filled({place_.elements}, filler)),
        filler_(filler) {}

  TensorView<T> view() noexcept { return {storage_.data() + place_.base, place_.layout}; }
  std::span<const T> storage() const noexcept { return storage_.values(); }

  /// True when each element outside of the view still holds the filler.
  bool is_untouched_outside() {
    std::vector<char> inside(static_cast<std::size_t>(place_.elements), 0);
    const auto mark = [&](std::int64_t offset) {
      inside[static_cast<std::size_t>(place_.base + offset)] = 1;
    };
    for_each_offset(place_.layout.shape, mark, place_.layout.strides);
    bool untouched = true;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      const bool same = std::ranges::equal(std::as_bytes(storage_.values().subspan(i, 1)),
                                           std::as_bytes(std::span(&filler_, 1)));
      untouched = untouched && (inside[i] != 0 || same);
    }
    return untouched;
  }

 private:
  Place place_;
  Tensor<T> storage_;
  T filler_ = {};
};

}  // namespace attention::tests
