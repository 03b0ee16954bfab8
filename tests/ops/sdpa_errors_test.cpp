#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"
#include "harness/faulty_call.hpp"

/// What breaks a rule throws Error, which names the argument and shows what was found, and leaves
/// the outputs as they were.
namespace attention::tests {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Both forms of sdpa check the inputs and options.
void expect_errors_of_both_forms(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.name);
    Call call;
    fault.commit(call);
    expect_error(fault, [&] { call.run_owning(); }, "sdpa");
    expect_error(fault, [&] { call.run_into(); }, "sdpa_into");
    EXPECT_TRUE(call.is_untouched());
  }
}

TEST(SdpaErrors, TheCallWithoutFaultSucceeds) {
  Call call;
  EXPECT_NO_THROW(call.run_owning());
  EXPECT_NO_THROW(call.run_into());
  EXPECT_FALSE(call.is_untouched());
}

TEST(SdpaErrors, ShapesOfInputs) {
  expect_errors_of_both_forms({
      {"q is not given", [](Call& c) { c.q = {}; }, {"query"}},
      {"k is not given", [](Call& c) { c.k = {}; }, {"key"}},
      {"v is not given", [](Call& c) { c.v = {}; }, {"value"}},
      {"q of rank 3",
       [](Call& c) { c.q = zeros({4, 3, 8}); },
       {"query", "(B, H, L, D)", "(4, 3, 8)"}},
      {"k of rank 3",
       [](Call& c) { c.k = zeros({2, 5, 8}); },
       {"key", "(B, Hkv, S, D)", "(2, 5, 8)"}},
      {"v of rank 5",
       [](Call& c) { c.v = zeros({1, 2, 2, 5, 6}); },
       {"value", "(B, Hkv, S, Dv)", "(1, 2, 2, 5, 6)"}},
      {"another batch in k",
       [](Call& c) { c.k = zeros({1, 2, 5, 8}); },
       {"query", "key", "(2, 4, 3, 8)", "(1, 2, 5, 8)"}},
      {"another batch in v", [](Call& c) { c.v = zeros({3, 2, 5, 6}); }, {"value", "(3, 2, 5, 6)"}},
      {"other heads in v",
       [](Call& c) { c.v = zeros({2, 4, 5, 6}); },
       {"value", "(2, 2, 5, 8)", "(2, 4, 5, 6)"}},
      {"another length of v",
       [](Call& c) { c.v = zeros({2, 2, 4, 6}); },
       {"value", "(2, 2, 5, 8)", "(2, 2, 4, 6)"}},
      {"another head size of k",
       [](Call& c) { c.k = zeros({2, 2, 5, 7}); },
       {"query", "key", "(2, 4, 3, 8)", "(2, 2, 5, 7)"}},
      {"H is no multiple of Hkv",
       [](Call& c) {
         c.k = zeros({2, 3, 5, 8});
         c.v = zeros({2, 3, 5, 6});
       },
       {"query", "key", "(2, 4, 3, 8)", "(2, 3, 5, 8)"}},
      {"more key heads than query heads",
       [](Call& c) {
         c.k = zeros({2, 8, 5, 8});
         c.v = zeros({2, 8, 5, 6});
       },
       {"query", "key", "(2, 8, 5, 8)"}},
      {"no key heads",
       [](Call& c) {
         c.k = zeros({2, 0, 5, 8});
         c.v = zeros({2, 0, 5, 6});
       },
       {"key", "(2, 0, 5, 8)"}},
  });
}

TEST(SdpaErrors, Masks) {
  std::vector<Fault> faults;
  for (const Shape& shape : {Shape{4}, Shape{0}, Shape{4, 5}, Shape{2, 3, 5}, Shape{3, 4, 3, 5},
                             Shape{2, 4, 5, 3}, Shape{1, 2, 4, 3, 5}, Shape{1, 1, 1, 1, 1}}) {
    faults.push_back({"keep " + to_string(shape),
                      [shape](Call& c) { c.options.mask = Mask::keep(zeros<bool>(shape)); },
                      {"mask", to_string(shape)}});
    faults.push_back({"block " + to_string(shape),
                      [shape](Call& c) { c.options.mask = Mask::block(zeros<bool>(shape)); },
                      {"mask", to_string(shape)}});
    faults.push_back({"add " + to_string(shape),
                      [shape](Call& c) { c.options.mask = Mask::add(zeros<double>(shape)); },
                      {"mask", to_string(shape)}});
  }
  faults.push_back({"a mask of no tensor",
                    [](Call& c) { c.options.mask = Mask::keep(TensorView<const bool>()); },
                    {"mask"}});
  faults.push_back({"an added mask of no tensor",
                    [](Call& c) { c.options.mask = Mask::add(TensorView<const float>()); },
                    {"mask"}});
  expect_errors_of_both_forms(faults);
}

TEST(SdpaErrors, Positions) {
  constexpr std::int64_t kTooFar = (std::int64_t{1} << 40) + 1;
  expect_errors_of_both_forms({
      {"causal without alignment",
       [](Call& c) { c.options.causal = true; },
       {"alignment", "3", "5"}},
      {"left window without alignment",
       [](Call& c) { c.options.window.left = 0; },
       {"alignment", "3", "5"}},
      {"right window without alignment",
       [](Call& c) { c.options.window.right = 2; },
       {"alignment", "3", "5"}},
      {"alibi without alignment",
       [](Call& c) { c.options.alibi_slopes = zeros({4}); },
       {"alignment", "3", "5"}},
      {"left window below -1",
       [](Call& c) {
         c.options.alignment = Alignment::top_left();
         c.options.window.left = -2;
       },
       {"window", "-2"}},
      {"right window below -1",
       [](Call& c) {
         c.options.alignment = Alignment::top_left();
         c.options.window.right = std::numeric_limits<std::int64_t>::min();
       },
       {"window", "-9223372036854775808"}},
      {"an offset too far",
       [](Call& c) {
         c.options.causal = true;
         c.options.alignment = Alignment::at(kTooFar);
       },
       {"alignment", std::to_string(kTooFar)}},
      {"an offset too far back",
       [](Call& c) {
         c.options.causal = true;
         c.options.alignment = Alignment::at(std::numeric_limits<std::int64_t>::min());
       },
       {"alignment", "-9223372036854775808"}},
  });
}

TEST(SdpaErrors, KeyLengths) {
  static const Tensor<std::int64_t> too_long({2}, {5, 6});
  static const Tensor<std::int32_t> negative({2}, {-1, 3});
  static const Tensor<std::int64_t> wraps({2}, {3, std::int64_t{1} << 32});
  expect_errors_of_both_forms({
      {"past S", [](Call& c) { c.options.key_lengths = too_long; }, {"key_lengths", "6"}},
      {"negative", [](Call& c) { c.options.key_lengths = negative; }, {"key_lengths", "-1"}},
      {"more than 32 bits",
       [](Call& c) { c.options.key_lengths = wraps; },
       {"key_lengths", "4294967296"}},
      {"another batch",
       [](Call& c) { c.options.key_lengths = zeros<std::int64_t>({3}); },
       {"key_lengths", "(3,)"}},
      {"rank 0",
       [](Call& c) { c.options.key_lengths = zeros<std::int64_t>({}); },
       {"key_lengths", "()"}},
      {"rank 2",
       [](Call& c) { c.options.key_lengths = zeros<std::int64_t>({2, 1}); },
       {"key_lengths", "(2, 1)"}},
      {"float32",
       [](Call& c) { c.options.key_lengths = zeros<float>({2}); },
       {"key_lengths", "float32"}},
      {"int8",
       [](Call& c) { c.options.key_lengths = zeros<std::int8_t>({2}); },
       {"key_lengths", "int8"}},
      {"bool", [](Call& c) { c.options.key_lengths = zeros<bool>({2}); }, {"key_lengths", "bool"}},
      {"uint64",
       [](Call& c) { c.options.key_lengths = zeros<std::uint64_t>({2}); },
       {"key_lengths", "uint64"}},
  });
}

TEST(SdpaErrors, SlopesAndSinks) {
  std::vector<Fault> faults;
  struct Named {
    const char* name;
    AnyView SdpaOptions::* option;
  };
  for (const Named& named : {Named{.name = "alibi_slopes", .option = &SdpaOptions::alibi_slopes},
                             Named{.name = "sinks", .option = &SdpaOptions::sinks}}) {
    const std::vector<std::pair<AnyView, std::string>> wrong = {
        {zeros({2}), "(2,)"},
        {zeros({}), "()"},
        {zeros({4, 1}), "(4, 1)"},
        {zeros<std::int32_t>({4}), "int32"},
        {zeros<float16>({4}), "float16"},
        {zeros<bfloat16>({4}), "bfloat16"},
    };
    for (const auto& [view, found] : wrong) {
      faults.push_back({std::string(named.name) + " " + found,
                        [option = named.option, given = view](Call& c) {
                          c.options.alignment = Alignment::top_left();
                          c.options.*option = given;
                        },
                        {named.name, found}});
    }
  }
  expect_errors_of_both_forms(faults);
}

TEST(SdpaErrors, Numbers) {
  expect_errors_of_both_forms({
      {"negative softcap", [](Call& c) { c.options.softcap = -1; }, {"softcap", "-1"}},
      {"softcap NaN", [](Call& c) { c.options.softcap = kNaN; }, {"softcap", "nan"}},
      {"infinite softcap", [](Call& c) { c.options.softcap = HUGE_VAL; }, {"softcap", "inf"}},
      {"scale NaN", [](Call& c) { c.options.scale = kNaN; }, {"scale", "nan"}},
      {"infinite scale", [](Call& c) { c.options.scale = -HUGE_VAL; }, {"scale", "-inf"}},
      {"negative dropout",
       [](Call& c) { c.options.dropout.probability = -0.25; },
       {"dropout.probability", "[0, 1]", "-0.250000"}},
      {"dropout above 1",
       [](Call& c) { c.options.dropout.probability = 1.5; },
       {"dropout.probability", "[0, 1]", "1.500000"}},
      {"dropout NaN",
       [](Call& c) { c.options.dropout.probability = kNaN; },
       {"dropout.probability", "nan"}},
      {"negative threads",
       [](Call& c) { c.options.execution.threads = -2; },
       {"threads", "-2"},
       "parallel_for"},
  });
}

TEST(SdpaErrors, ViewsOfNoMemory) {
  expect_errors_of_both_forms({
      {"q", [](Call& c) { c.q = nowhere({2, 4, 3, 8}); }, {"query"}},
      {"k", [](Call& c) { c.k = nowhere({2, 2, 5, 8}); }, {"key"}},
      {"v", [](Call& c) { c.v = nowhere({2, 2, 5, 6}); }, {"value"}},
      {"keep", [](Call& c) { c.options.mask = Mask::keep(nowhere<bool>({3, 5})); }, {"mask"}},
      {"add", [](Call& c) { c.options.mask = Mask::add(nowhere({3, 5})); }, {"mask"}},
      {"lengths",
       [](Call& c) { c.options.key_lengths = nowhere<std::int64_t>({2}); },
       {"key_lengths"}},
      {"slopes",
       [](Call& c) {
         c.options.alignment = Alignment::top_left();
         c.options.alibi_slopes = nowhere({4});
       },
       {"alibi_slopes"}},
      {"sinks", [](Call& c) { c.options.sinks = nowhere({4}); }, {"sinks"}},
  });
}

TEST(SdpaErrors, Rule12APathThatCannotServeIsAnErrorAndNotAFallback) {
  const Inputs<double> inputs = random_inputs<double>({.L = 2, .S = 3});
  const SdpaOptions options{.execution = {.path = Path::fused}};
  const Fault fault{"double", {}, {"fused", "float64"}};
  expect_error(fault, [&] { sdpa(inputs.q, inputs.k, inputs.v, options); }, "sdpa");
  Tensor<double> out = Tensor<double>::filled({1, 1, 2, 8}, 5.0);
  std::vector<std::byte> workspace(1 << 16);
  expect_error(
      fault,
      [&] { sdpa_into({.out = out.view()}, inputs.q, inputs.k, inputs.v, options, workspace); },
      "sdpa_into");
  for (const double value : out.values()) {
    EXPECT_EQ(value, 5.0);
  }
  EXPECT_EQ(sdpa(inputs.q, inputs.k, inputs.v).taken.path, Path::reference);
}

}  // namespace
}  // namespace attention::tests
