#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"
#include "harness/guarded_memory.hpp"

/// docs/semantics.md, rule 4: nothing of a blocked cell reaches any result.
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class Setting>
class SdpaIsolation : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaIsolation, EveryPath, PathNames);

/// What may stand in a blocked cell.
constexpr double kIntruders[] = {kNaN, kInfinity, -kInfinity, 6e4, -6e4, 0.0};

/// Rows [start, start + count) of dimension 2 all `value`.
template <class T>
void overwrite(Tensor<T>& tensor, std::int64_t start, std::int64_t count, double value) {
  const TensorView<T> rows = tensor.view().slice(2, start, count);
  for_each_offset(
      rows.shape(), [&](std::int64_t offset) { rows.data()[offset] = element_cast<T>(value); },
      rows.strides());
}

TYPED_TEST(SdpaIsolation, Rule04KeysPastTheLengthReachNothing) {
  using T = typename TypeParam::Element;
  for (const std::int64_t length : {0, 1, 15, 16, 17, 40, 64, 69}) {
    const Tensor<std::int64_t> lengths({1}, {length});
    auto inputs = random_inputs<T>({.H = 2, .Hkv = 2, .L = 5, .S = 70});
    const SdpaOptions options{.key_lengths = lengths};
    const auto expected = this->attend(inputs, options);
    for (const double intruder : kIntruders) {
      overwrite(inputs.k, length, 70 - length, intruder);
      overwrite(inputs.v, length, 70 - length, intruder);
      EXPECT_TRUE(same_bits(this->attend(inputs, options), expected)) << length << ", " << intruder;
    }
  }
}

TYPED_TEST(SdpaIsolation, Rule04KeysThatAMaskBlocksReachNothing) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.H = 2, .Hkv = 1, .L = 5, .S = 70});
  Tensor<bool> keep({70});
  Tensor<float> bias({70});
  for (std::int64_t j = 0; j < 70; ++j) {
    keep(j) = j % 3 != 1;
    bias(j) = keep(j) ? 0.0F : -HUGE_VALF;
  }
  const SdpaOptions kept{.mask = Mask::keep(std::as_const(keep))};
  const SdpaOptions added{.mask = Mask::add(std::as_const(bias))};
  const auto expected = this->attend(inputs, kept);
  const auto expected_of_added = this->attend(inputs, added);
  for (const double intruder : kIntruders) {
    for (std::int64_t j = 1; j < 70; j += 3) {
      overwrite(inputs.k, j, 1, intruder);
      overwrite(inputs.v, j, 1, intruder);
    }
    EXPECT_TRUE(same_bits(this->attend(inputs, kept), expected)) << intruder;
    EXPECT_TRUE(same_bits(this->attend(inputs, added), expected_of_added)) << intruder;
  }
}

TYPED_TEST(SdpaIsolation, Rule04KeysOutsideOfTheWindowReachNothing) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 4, .S = 90});
  const SdpaOptions options{.alignment = Alignment::at(40), .window = {.left = 20, .right = 3}};
  const auto expected = this->attend(inputs, options);  // the rows see keys 20 to 46 together
  for (const double intruder : kIntruders) {
    for (Tensor<T>* tensor : {&inputs.k, &inputs.v}) {
      overwrite(*tensor, 0, 20, intruder);
      overwrite(*tensor, 47, 43, intruder);
    }
    EXPECT_TRUE(same_bits(this->attend(inputs, options), expected)) << intruder;
  }
}

TYPED_TEST(SdpaIsolation, Rule04AQueryThatSeesNothingReachesNothing) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 6, .S = 40});
  const Tensor<float> sinks({1}, {1.0F});
  const SdpaOptions options{
      .causal = true, .alignment = Alignment::at(-3), .softcap = 5.0, .sinks = sinks};
  const auto expected = this->attend(inputs, options);
  for (const double intruder : kIntruders) {
    overwrite(inputs.q, 0, 3, intruder);
    EXPECT_TRUE(same_bits(this->attend(inputs, options), expected)) << intruder;
  }
}

TYPED_TEST(SdpaIsolation, Rule04AMaskCellThatIsBlockedAnywayReachesNothing) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 20, .S = 20});
  const Tensor<std::int64_t> lengths({1}, {18});
  Tensor<float> bias = random_tensor<float>({20, 20}, 4);
  const SdpaOptions options{.mask = Mask::add(std::as_const(bias)),
                            .causal = true,
                            .window = {.left = 15},
                            .key_lengths = lengths};
  const auto expected = this->attend(inputs, options);
  for (const double intruder : kIntruders) {
    for (std::int64_t i = 0; i < 20; ++i) {
      for (std::int64_t j = 0; j < 20; ++j) {
        if (j > i || j < i - 15 || j >= 18) {
          bias(i, j) = static_cast<float>(intruder);
        }
      }
    }
    EXPECT_TRUE(same_bits(this->attend(inputs, options), expected)) << intruder;
  }
}

/// Key j holds a NaN; with a causal mask, the rows from j on see it.
TYPED_TEST(SdpaIsolation, Rule04ANaNStaysInExactlyTheRowsThatSeeIt) {
  using T = typename TypeParam::Element;
  const auto clean = random_inputs<T>({.L = 70, .S = 70});
  const auto expected = this->attend(clean, {.causal = true});
  for (const bool in_value : {false, true}) {
    for (const std::int64_t j : {0, 1, 16, 33, 69}) {
      SCOPED_TRACE((in_value ? "v " : "k ") + std::to_string(j));
      Inputs<T> inputs = clean;
      (in_value ? inputs.v : inputs.k)(0, 0, j, 3) = element_cast<T>(kNaN);
      const auto found = this->attend(inputs, {.causal = true});
      EXPECT_TRUE(
          same_bits<T>(found.out.view().slice(2, 0, j), expected.out.view().slice(2, 0, j)));
      for (std::int64_t i = j; i < 70; ++i) {
        EXPECT_TRUE(std::isnan(element_cast<double>(found.out(0, 0, i, 3)))) << i;
        EXPECT_EQ(std::isnan(element_cast<double>(found.out(0, 0, i, 2))), !in_value) << i;
        EXPECT_EQ(std::isnan(found.lse(0, 0, i)), !in_value) << i;
      }
      if (in_value) {
        EXPECT_TRUE(same_bits(found.weights, expected.weights));
      }
    }
  }
}

TYPED_TEST(SdpaIsolation, Rule04ANaNInAQueryStaysInItsRow) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 20, .S = 30});
  const auto expected = this->attend(inputs);
  inputs.q(0, 0, 7, 0) = element_cast<T>(kNaN);
  const auto found = this->attend(inputs);
  EXPECT_TRUE(std::isnan(element_cast<double>(found.out(0, 0, 7, 0))));
  EXPECT_TRUE(same_bits<T>(found.out.view().slice(2, 0, 7), expected.out.view().slice(2, 0, 7)));
  EXPECT_TRUE(same_bits<T>(found.out.view().slice(2, 8, 12), expected.out.view().slice(2, 8, 12)));
}

TYPED_TEST(SdpaIsolation, Rule04ANaNInAVisibleMaskCellStaysInItsRow) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 20, .S = 30});
  Tensor<float> bias = random_tensor<float>({20, 30}, 4);
  const SdpaOptions options{.mask = Mask::add(std::as_const(bias))};
  const auto expected = this->attend(inputs, options);
  bias(7, 29) = NAN;
  const auto found = this->attend(inputs, options);
  EXPECT_TRUE(std::isnan(element_cast<double>(found.out(0, 0, 7, 0))));
  EXPECT_TRUE(same_bits<T>(found.out.view().slice(2, 0, 7), expected.out.view().slice(2, 0, 7)));
  EXPECT_TRUE(same_bits<T>(found.out.view().slice(2, 8, 12), expected.out.view().slice(2, 8, 12)));
}

// Memory. Whatever must not be touched is a page whose touch ends the process.

/// A tensor (2, heads, S, width) of which entry b has only its first lengths[b] rows in memory: the
/// page after each of them must not be touched.
template <class T>
class RowsInGuardedMemory {
 public:
  RowsInGuardedMemory(const Tensor<T>& source, const Tensor<std::int64_t>& lengths)
      : strides_(row_major_strides(source.shape())) {
    const auto row = static_cast<std::size_t>(source.size(3)) * sizeof(T);
    const auto whole = static_cast<std::size_t>(source.size(2)) * row;
    const std::size_t page = GuardedMemory(1).page();
    const std::size_t room = (whole / page + 3) * page;  // of one head
    const auto heads = static_cast<std::size_t>(source.size(1));
    memory_ = std::make_unique<GuardedMemory>((2 * heads + 1) * room);
    // The last row of either entry ends where a page does.
    const auto end_of = [&](std::size_t b, std::size_t h) { return (b * heads + h + 1) * room; };
    const auto bytes_of = [&](std::size_t b) {
      return static_cast<std::size_t>(lengths(static_cast<std::int64_t>(b))) * row;
    };
    first_ = end_of(0, 0) - bytes_of(0);
    const std::size_t second = end_of(1, 0) - bytes_of(1);
    strides_[0] = static_cast<std::int64_t>((second - first_) / sizeof(T));
    strides_[1] = static_cast<std::int64_t>(room / sizeof(T));
    shape_ = source.shape();
    for (std::size_t b = 0; b < 2; ++b) {
      for (std::size_t h = 0; h < heads; ++h) {
        const std::size_t start = end_of(b, h) - bytes_of(b);
        memory_->open(start, bytes_of(b));
        const auto* const from = source.data() + (b * heads + h) * (whole / sizeof(T));
        std::copy_n(reinterpret_cast<const std::byte*>(from), bytes_of(b), memory_->base() + start);
      }
    }
  }

  TensorView<const T> view() const {
    return {reinterpret_cast<const T*>(memory_->base() + first_),
            Layout{.shape = shape_, .strides = strides_}};
  }

 private:
  std::unique_ptr<GuardedMemory> memory_;
  Shape shape_;
  Strides strides_;
  std::size_t first_ = 0;
};

TYPED_TEST(SdpaIsolation, Rule04KeysPastTheLengthAreNeverLoaded) {
  using T = typename TypeParam::Element;
  for (const std::int64_t width : {1, 8, 13, 64}) {
    const auto inputs =
        random_inputs<T>({.B = 2, .H = 4, .Hkv = 2, .L = 5, .S = 100, .D = width, .Dv = width});
    for (const std::int64_t length : {0, 1, 2, 15, 16, 17, 33, 63, 64, 65, 99, 100}) {
      SCOPED_TRACE("width " + std::to_string(width) + ", length " + std::to_string(length));
      const Tensor<std::int64_t> lengths({2}, {length, (length * 7) % 101});
      const RowsInGuardedMemory<T> k(inputs.k, lengths);
      const RowsInGuardedMemory<T> v(inputs.v, lengths);
      for (const SdpaOptions& options :
           {SdpaOptions{.key_lengths = lengths},
            SdpaOptions{
                .causal = true, .alignment = Alignment::bottom_right(), .key_lengths = lengths},
            SdpaOptions{.causal = true, .alignment = Alignment::at(98), .key_lengths = lengths}}) {
        EXPECT_TRUE(same_bits(this->attend(inputs.q, k.view(), v.view(), options),
                              this->attend(inputs, options)));
      }
    }
  }
}

/// A dense tensor that ends where a page ends, or starts where one starts.
template <class T>
class TensorInGuardedMemory {
 public:
  enum class End : std::uint8_t { first, last };
  TensorInGuardedMemory(const Tensor<T>& source, End end)
      : memory_(source.values().size_bytes() + 3 * GuardedMemory(1).page()),
        shape_(source.shape()) {
    const std::size_t bytes = source.values().size_bytes();
    const std::size_t page = memory_.page();
    first_ = page;
    if (end == End::last) {
      first_ = (bytes / page + 2) * page - bytes;
    }
    memory_.open(first_, bytes);
    std::copy(source.values().begin(), source.values().end(), view().data());
  }

  TensorView<T> view() { return {reinterpret_cast<T*>(memory_.base() + first_), shape_}; }

 private:
  GuardedMemory memory_;
  Shape shape_;
  std::size_t first_ = 0;
};

TYPED_TEST(SdpaIsolation, Rule04NothingBesideATensorIsTouched) {
  using T = typename TypeParam::Element;
  using Real = Accumulator<T>;
  for (const std::int64_t width : {1, 3, 8, 17}) {
    for (const std::int64_t keys : {1, 7, 16, 33, 65}) {
      const auto inputs = random_inputs<T>({.L = 3, .S = keys, .D = width, .Dv = width + 1});
      const Tensor<float> bias = random_tensor<float>({3, keys}, 5);
      const SdpaOptions options{.mask = Mask::add(bias)};
      const auto expected = this->attend(inputs, options);
      using End = typename TensorInGuardedMemory<T>::End;
      for (const auto end : {End::first, End::last}) {
        SCOPED_TRACE("width " + std::to_string(width) + ", keys " + std::to_string(keys));
        TensorInGuardedMemory<T> q(inputs.q, end);
        TensorInGuardedMemory<T> k(inputs.k, end);
        TensorInGuardedMemory<T> v(inputs.v, end);
        using BiasEnd = TensorInGuardedMemory<float>::End;
        TensorInGuardedMemory<float> mask(bias, end == End::first ? BiasEnd::first : BiasEnd::last);
        using RealEnd = typename TensorInGuardedMemory<Real>::End;
        const auto real_end = end == End::first ? RealEnd::first : RealEnd::last;
        TensorInGuardedMemory<T> out(Tensor<T>(expected.out.shape()), end);
        TensorInGuardedMemory<Real> lse(Tensor<Real>(expected.lse.shape()), real_end);
        TensorInGuardedMemory<Real> weights(Tensor<Real>(expected.weights.shape()), real_end);
        const Execution execution{.path = TypeParam::kPath};
        TensorInGuardedMemory<std::uint8_t> workspace(
            Tensor<std::uint8_t>({static_cast<std::int64_t>(sdpa_workspace_size(
                {.L = 3, .S = keys, .D = width, .Dv = width + 1, .dtype = kDTypeOf<T>},
                execution))}),
            end == End::first ? TensorInGuardedMemory<std::uint8_t>::End::first
                              : TensorInGuardedMemory<std::uint8_t>::End::last);
        const auto scratch = workspace.view();
        sdpa_into({.out = out.view(), .lse = lse.view(), .weights = weights.view()}, q.view(),
                  k.view(), v.view(), {.mask = Mask::add(mask.view()), .execution = execution},
                  std::as_writable_bytes(
                      std::span(scratch.data(), static_cast<std::size_t>(scratch.size(0)))));
        EXPECT_TRUE(same_bits<T>(out.view(), expected.out.view()));
        EXPECT_TRUE(same_bits<Real>(lse.view(), expected.lse.view()));
        EXPECT_TRUE(same_bits<Real>(weights.view(), expected.weights.view()));
      }
    }
  }
}

}  // namespace
}  // namespace attention::tests
