#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/faulty_call.hpp"

/// What only sdpa_into checks: outputs and workspace. The outputs stay as they were.
namespace attention::tests {
namespace {

void expect_errors_of_into(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.name);
    Call call;
    fault.commit(call);
    expect_error(fault, [&] { call.run_into(); }, "sdpa_into");
    EXPECT_TRUE(call.is_untouched());
  }
}

TEST(SdpaIntoErrors, ShapesOfOutputs) {
  expect_errors_of_into({
      {"out is not given", [](Call& c) { c.outputs.out = {}; }, {"out"}},
      {"out of another shape",
       [](Call& c) { c.outputs.out = zeros({2, 4, 3, 8}); },
       {"out", "(2, 4, 3, 6)", "(2, 4, 3, 8)"}},
      {"out of another rank",
       [](Call& c) { c.outputs.out = zeros({8, 3, 6}); },
       {"out", "(2, 4, 3, 6)", "(8, 3, 6)"}},
      {"lse of another shape",
       [](Call& c) { c.outputs.lse = zeros({2, 4, 1}); },
       {"lse", "(2, 4, 3)", "(2, 4, 1)"}},
      {"lse of another rank",
       [](Call& c) { c.outputs.lse = zeros({2, 4, 3, 1}); },
       {"lse", "(2, 4, 3)", "(2, 4, 3, 1)"}},
      {"weights of another shape",
       [](Call& c) { c.outputs.weights = zeros({2, 2, 3, 5}); },
       {"weights", "(2, 4, 3, 5)", "(2, 2, 3, 5)"}},
  });
}

TEST(SdpaIntoErrors, OutputsOfNoMemory) {
  expect_errors_of_into({
      {"out", [](Call& c) { c.outputs.out = nowhere({2, 4, 3, 6}); }, {"out"}},
      {"lse", [](Call& c) { c.outputs.lse = nowhere({2, 4, 3}); }, {"lse"}},
      {"weights", [](Call& c) { c.outputs.weights = nowhere({2, 4, 3, 5}); }, {"weights"}},
  });
}

TEST(SdpaIntoErrors, Workspace) {
  for (const Path path : {Path::fused, Path::reference}) {
    for (const int threads : {1, 3}) {
      Call call;
      call.options.execution = {.path = path, .threads = threads};
      const std::size_t needed = sdpa_workspace_size(
          {.B = 2, .H = 4, .Hkv = 2, .L = 3, .S = 5, .D = 8, .Dv = 6}, call.options.execution);
      ASSERT_GT(needed, 0U);
      for (const std::size_t given : {needed - 1, std::size_t{0}}) {
        call.workspace.resize(given);
        expect_error(
            {"workspace", {}, {"workspace", std::to_string(needed), std::to_string(given)}},
            [&] { call.run_into(); }, "sdpa_into");
        EXPECT_TRUE(call.is_untouched());
      }
      call.workspace.resize(needed);
      EXPECT_NO_THROW(call.run_into());
    }
  }
}

TEST(SdpaIntoErrors, WorkspaceSize) {
  const SdpaSize size{.B = 2, .H = 4, .Hkv = 2, .L = 3, .S = 5, .D = 8, .Dv = 6};
  const auto expect = [](const SdpaSize& wrong, const Execution& execution,
                         const std::vector<std::string>& message,
                         const std::string& function = "sdpa_workspace_size") {
    expect_error({"size", {}, message}, [&] { sdpa_workspace_size(wrong, execution); }, function);
  };
  for (std::int64_t SdpaSize::* const field :
       {&SdpaSize::B, &SdpaSize::H, &SdpaSize::Hkv, &SdpaSize::L, &SdpaSize::S, &SdpaSize::D,
        &SdpaSize::Dv}) {
    SdpaSize wrong = size;
    wrong.*field = -3;
    expect(wrong, {}, {"-3"});
  }
  for (const DType dtype : {DType::boolean, DType::int32, DType::uint64}) {
    SdpaSize wrong = size;
    wrong.dtype = dtype;
    expect(wrong, {}, {"dtype", std::string(name_of(dtype))});
  }
  SdpaSize wide = size;
  wide.dtype = DType::float64;
  expect(wide, {.path = Path::fused}, {"fused", "float64"});
  expect(size, {.threads = -1}, {"threads", "-1"}, "parallel_for");
}

}  // namespace
}  // namespace attention::tests
