#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"

/// docs/semantics.md, rule 9: outputs that overlap themselves, an input or each other are errors;
/// outputs that lie between other tensors are not.
namespace attention::tests {
namespace {

template <class Setting>
class SdpaOverlap : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaOverlap, EveryPath, PathNames);

constexpr std::int64_t kB = 2;
constexpr std::int64_t kH = 3;
constexpr std::int64_t kL = 5;
constexpr std::int64_t kD = 4;

/// A call of sdpa_into on float32 that ought to fail, its buffers, and what its message names.
class Clash {
 public:
  explicit Clash(Path path) : path_(path) {}

  Tensor<float> q = random_tensor<float>({kB, kH, kL, kD}, 1);
  Tensor<float> k = random_tensor<float>({kB, kH, kL, kD}, 2);
  Tensor<float> v = random_tensor<float>({kB, kH, kL, kD}, 3);
  Tensor<float> pool = random_tensor<float>({4096}, 4);
  SdpaOutputs<float> outputs;
  SdpaOptions options = {};

  float* at(std::int64_t element) { return pool.data() + element; }

  void expect_error(const std::vector<std::string>& names) {
    const std::vector<Tensor<float>> before = {q, k, v, pool};
    std::vector<std::byte> workspace(1 << 18);
    options.execution.path = path_;
    try {
      sdpa_into(outputs, q, k, v, options, workspace);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      for (const std::string& name : names) {
        EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      }
    }
    EXPECT_TRUE(same_bits(q, before[0]) && same_bits(k, before[1]) && same_bits(v, before[2]) &&
                same_bits(pool, before[3]))
        << "something was written";
  }

 private:
  Path path_;
};

constexpr Path kPaths[] = {Path::fused, Path::reference};
const Shape kOutShape{kB, kH, kL, kD};

TEST(SdpaOverlapErrors, OutOverlapsItself) {
  for (const Path path : kPaths) {
    for (const Strides& strides :
         {Strides{60, 20, 4, 0}, Strides{60, 20, 0, 1}, Strides{60, 0, 4, 1}, Strides{0, 20, 4, 1},
          Strides{60, 20, 3, 1}, Strides{60, 19, 4, 1}, Strides{60, -19, 4, 1},
          Strides{60, 20, 1, 1}}) {
      SCOPED_TRACE(to_string(strides));
      Clash clash(path);
      clash.outputs.out = {clash.at(100), Layout{.shape = kOutShape, .strides = strides}};
      clash.expect_error({"out"});
    }
  }
}

TEST(SdpaOverlapErrors, LseOrWeightsOverlapThemselves) {
  for (const Path path : kPaths) {
    Clash clash(path);
    clash.outputs = {.out = {clash.at(0), kOutShape},
                     .lse = {clash.at(500), Layout{.shape = {kB, kH, kL}, .strides = {15, 5, 0}}},
                     .weights = {}};
    clash.expect_error({"lse"});
    clash.outputs.lse = {};
    clash.outputs.weights = {clash.at(500),
                             Layout{.shape = {kB, kH, kL, kL}, .strides = {75, 25, 0, 1}}};
    clash.expect_error({"weights"});
  }
}

TEST(SdpaOverlapErrors, OutLiesInAnInput) {
  for (const Path path : kPaths) {
    Clash clash(path);
    for (auto [tensor, name] :
         {std::pair{&clash.q, "query"}, std::pair{&clash.k, "key"}, std::pair{&clash.v, "value"}}) {
      clash.outputs = {.out = tensor->view()};
      clash.expect_error({"out", name});
      clash.outputs = {.out = tensor->view().reverse(2)};
      clash.expect_error({"out", name});
    }
  }
}

TEST(SdpaOverlapErrors, TheLastElementOfOutIsTheFirstOfAnInput) {
  for (const Path path : kPaths) {
    Clash clash(path);
    const std::int64_t size = kB * kH * kL * kD;
    const TensorView<float> first(clash.at(0), kOutShape);
    const TensorView<float> second(clash.at(size - 1), kOutShape);
    std::vector<std::byte> workspace(1 << 18);
    const SdpaOptions options{.execution = {.path = path}};
    EXPECT_THROW(sdpa_into({.out = first}, second, clash.k, clash.v, options, workspace), Error);
    EXPECT_THROW(sdpa_into({.out = second}, clash.q, first, clash.v, options, workspace), Error);
    const TensorView<float> beside(clash.at(size), kOutShape);
    EXPECT_NO_THROW(sdpa_into({.out = first}, beside, clash.k, clash.v, options, workspace));
    EXPECT_NO_THROW(sdpa_into({.out = beside}, clash.q, first, clash.v, options, workspace));
  }
}

TEST(SdpaOverlapErrors, LseOrWeightsLieInAnInput) {
  for (const Path path : kPaths) {
    Clash clash(path);
    clash.outputs = {
        .out = {clash.at(0), kOutShape}, .lse = {clash.q.data(), {kB, kH, kL}}, .weights = {}};
    clash.expect_error({"lse", "query"});
    clash.v = random_tensor<float>({kB, kH, kL, 2 * kD}, 3);
    clash.outputs = {.out = {clash.at(0), {kB, kH, kL, 2 * kD}},
                     .lse = {},
                     .weights = {clash.v.data() + 1, {kB, kH, kL, kL}}};
    clash.expect_error({"weights", "value"});
  }
}

TEST(SdpaOverlapErrors, OutputsLieInEachOther) {
  for (const Path path : kPaths) {
    Clash clash(path);
    clash.outputs = {
        .out = {clash.at(0), kOutShape}, .lse = {clash.at(119), {kB, kH, kL}}, .weights = {}};
    clash.expect_error({"out", "lse"});
    clash.outputs = {
        .out = {clash.at(0), kOutShape}, .lse = {}, .weights = {clash.at(60), {kB, kH, kL, kL}}};
    clash.expect_error({"out", "weights"});
    clash.outputs = {.out = {clash.at(0), kOutShape},
                     .lse = {clash.at(200), {kB, kH, kL}},
                     .weights = {clash.at(201), {kB, kH, kL, kL}}};
    clash.expect_error({"lse", "weights"});
  }
}

TEST(SdpaOverlapErrors, AnOutputLiesInAnOption) {
  for (const Path path : kPaths) {
    Clash clash(path);
    const TensorView<float> out(clash.at(0), kOutShape);
    clash.outputs = {.out = out};
    clash.options = {.mask = Mask::add(TensorView<const float>(clash.at(100), {kL, kL}))};
    clash.expect_error({"out", "mask"});
    clash.options = {.sinks = TensorView<const float>(clash.at(5), {kH})};
    clash.expect_error({"out", "sinks"});
    clash.options = {.alibi_slopes = TensorView<const float>(clash.at(7), {kH})};
    clash.expect_error({"out", "alibi_slopes"});
    clash.outputs.lse = {clash.at(200), {kB, kH, kL}};
    clash.options = {.sinks = TensorView<const float>(clash.at(205), {kH})};
    clash.expect_error({"lse", "sinks"});
    // Zero bits are valid lengths, too.
    std::fill(clash.pool.values().begin(), clash.pool.values().end(), 0.0F);
    const auto* const lengths = reinterpret_cast<const std::int32_t*>(clash.at(9));
    clash.options = {.key_lengths = TensorView<const std::int32_t>(lengths, {kB})};
    clash.expect_error({"out", "key_lengths"});
  }
}

/// q, k, v and out as slots of one buffer (B, L, 4, H, D): no element is shared.
TYPED_TEST(SdpaOverlap, Rule09OutInASlotOfThePackedBufferOfItsInputs) {
  using T = typename TypeParam::Element;
  for (const std::int64_t out_slot : {0, 1, 2, 3}) {
    const Tensor<T> original = random_tensor<T>({kB, kL, 4, kH, kD}, 9);
    Tensor<T> packed = original;
    std::vector<TensorView<T>> inputs;
    for (std::int64_t slot = 0; slot < 4; ++slot) {
      if (slot != out_slot) {
        inputs.push_back(packed.view().select(2, slot).permute({0, 2, 1, 3}));
      }
    }
    const TensorView<T> out = packed.view().select(2, out_slot).permute({0, 2, 1, 3});
    const Tensor<T> q = Tensor<T>::copy_of(inputs[0]);
    const Tensor<T> k = Tensor<T>::copy_of(inputs[1]);
    const Tensor<T> v = Tensor<T>::copy_of(inputs[2]);
    std::vector<std::byte> workspace(1 << 18);
    ASSERT_NO_THROW(sdpa_into({.out = out}, inputs[0], inputs[1], inputs[2],
                              {.execution = {.path = TypeParam::kPath, .threads = 2}}, workspace));
    EXPECT_TRUE(same_bits<T>(out, this->attend(q, k, v).out));
    for (std::int64_t slot = 0; slot < 4; ++slot) {
      EXPECT_TRUE(slot == out_slot ||
                  same_bits<T>(packed.view().select(2, slot), original.view().select(2, slot)))
          << slot;
    }
  }
}

TYPED_TEST(SdpaOverlap, Rule09OutInTheGapsOfOneHeadSizedRows) {
  using T = typename TypeParam::Element;
  Tensor<T> rows = random_tensor<T>({kB, kH, kL, 2 * kD}, 9);
  const TensorView<T> q = rows.view().slice(3, 0, kD);
  const TensorView<T> out = rows.view().slice(3, kD, kD);
  const auto inputs = random_inputs<T>({.B = kB, .H = kH, .Hkv = 1, .S = 6, .D = kD, .Dv = kD});
  const Tensor<T> expected = this->attend(Tensor<T>::copy_of(q), inputs.k, inputs.v).out;
  std::vector<std::byte> workspace(1 << 18);
  ASSERT_NO_THROW(sdpa_into({.out = out}, q, inputs.k, inputs.v,
                            {.execution = {.path = TypeParam::kPath, .threads = 1}}, workspace));
  EXPECT_TRUE(same_bits<T>(out, expected));
}

/// Rows of Dv values and their lse in one buffer, as for partial results that travel together.
TEST(SdpaOverlapAccepted, LseBetweenTheRowsOfOut) {
  for (const Path path : kPaths) {
    const auto inputs = random_inputs<float>({.B = kB, .H = kH, .Hkv = kH, .L = kL, .S = 6});
    const SdpaOptions options{.execution = {.path = path, .threads = 1}};
    Tensor<float> rows({kB, kH, kL, 9});
    std::vector<std::byte> workspace(1 << 18);
    const TensorView<float> out = rows.view().slice(3, 0, 8);
    const TensorView<float> lse = rows.view().select(3, 8);
    ASSERT_NO_THROW(
        sdpa_into({.out = out, .lse = lse}, inputs.q, inputs.k, inputs.v, options, workspace));
    const auto expected = sdpa(inputs.q, inputs.k, inputs.v, options);
    EXPECT_TRUE(same_bits<float>(out, expected.out));
    EXPECT_TRUE(same_bits<float>(lse, expected.lse));
  }
}

/// Inputs may be one tensor, repeat by stride 0, or overlap each other.
TEST(SdpaOverlapAccepted, InputsMayOverlap) {
  for (const Path path : kPaths) {
    const SdpaOptions options{.execution = {.path = path}};
    const Tensor<float> x = random_tensor<float>({1, 1, kL, kD}, 5);
    const TensorView<const float> repeated = x.view().broadcast_to({kB, kH, kL, kD});
    const auto dense = Tensor<float>::copy_of(repeated);
    EXPECT_TRUE(
        same_bits(sdpa(repeated, repeated, repeated, options), sdpa(dense, dense, dense, options)));
  }
}

}  // namespace
}  // namespace attention::tests
