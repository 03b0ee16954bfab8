#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <attention/core/random.hpp>
#include <attention/io/npz.hpp>
#include <attention/ops/sdpa.hpp>

#include "cli/arrays.hpp"
#include "tests/cli/command.hpp"

namespace attention::cli {
namespace {

using testing::HasSubstr;

Tensor<float> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<float> tensor(shape);
  random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

/// Problems on files, and the float64 reference on the same numbers.
class ComputeTest : public CommandTest {
 protected:
  static constexpr std::int64_t kB = 2, kH = 4, kHkv = 2, kL = 5, kS = 7, kD = 8, kDv = 3;

  ComputeTest()
      : q_(drawn({kB, kH, kL, kD}, 1)),
        k_(drawn({kB, kHkv, kS, kD}, 2)),
        v_(drawn({kB, kHkv, kS, kDv}, 3)),
        q64_(converted<double>(q_)),
        k64_(converted<double>(k_)),
        v64_(converted<double>(v_)) {
    write(path("qkv.npz"),
          {{.name = "q", .view = q_}, {.name = "k", .view = k_}, {.name = "v", .view = v_}});
  }

  static void write(const std::string& path, const std::vector<io::NamedView>& arrays) {
    io::write_npz(path, arrays);
  }

  /// Runs compute with these words more, and compares all it wrote with the reference under these
  /// options.
  void expect_agrees(std::initializer_list<std::string> words, SdpaOptions options) {
    const std::string result = path("result.npz");
    std::vector<std::string> all = {"attention", "compute", path("qkv.npz"),
                                    "--weights", "-o",      result};
    all.insert(all.end(), words);
    std::vector<const char*> argv;
    for (const std::string& word : all) {
      argv.push_back(word.c_str());
    }
    testing::internal::CaptureStdout();
    const int code = run(static_cast<int>(argv.size()), argv.data());
    testing::internal::GetCapturedStdout();
    ASSERT_EQ(code, 0);
    options.return_weights = true;
    options.execution.path = Path::reference;
    const SdpaResult<double> expected = sdpa(q64_, k64_, v64_, options);
    expect_near(result + ":out", expected.out);
    expect_near(result + ":lse", expected.lse);
    expect_near(result + ":weights", expected.weights);
  }

  static void expect_near(const std::string& spec, const Tensor<double>& expected) {
    const AnyTensor found = read_one_array(spec);
    ASSERT_EQ(found.shape(), expected.shape());
    const Tensor<double> values = converted<double>(found);
    for (std::int64_t i = 0; i < expected.element_count(); ++i) {
      const double e = expected.data()[i];
      if (std::isinf(e)) {
        ASSERT_EQ(values.data()[i], e) << spec;
      } else {
        ASSERT_NEAR(values.data()[i], e, 2e-6) << spec;
      }
    }
  }

  Tensor<float> q_, k_, v_;
  Tensor<double> q64_, k64_, v64_;
};

TEST_F(ComputeTest, PlainAndEveryPath) {
  expect_agrees({}, {});
  expect_agrees({"--path", "reference"}, {});
  expect_agrees({"--path", "fused", "--threads", "2"}, {});
  expect_agrees({"--compress"}, {});
}

TEST_F(ComputeTest, CausalWithEachAlignment) {
  expect_agrees({"--causal", "--alignment", "top-left"},
                {.causal = true, .alignment = Alignment::top_left()});
  expect_agrees({"--causal", "--alignment", "bottom-right"},
                {.causal = true, .alignment = Alignment::bottom_right()});
  expect_agrees({"--causal", "--alignment", "1"}, {.causal = true, .alignment = Alignment::at(1)});
  expect_agrees({"--causal", "--alignment=-2"}, {.causal = true, .alignment = Alignment::at(-2)});
}

TEST_F(ComputeTest, Windows) {
  expect_agrees({"--window-left", "2", "--window-right", "1", "--alignment", "top-left"},
                {.alignment = Alignment::top_left(), .window = {.left = 2, .right = 1}});
}

TEST_F(ComputeTest, ScaleAndSoftcap) {
  expect_agrees({"--scale", "0.7"}, {.scale = 0.7});
  expect_agrees({"--softcap", "1.5"}, {.softcap = 1.5});
}

TEST_F(ComputeTest, KeyLengthsSlopesAndSinks) {
  const Tensor<std::int32_t> lengths({kB}, {4, 0});
  const Tensor<float> slopes({kH}, {0.5F, 0.25F, 0.125F, 0.0625F});
  const Tensor<double> sinks({kH}, {0.0, 1.0, -1.0, 2.0});
  io::write_npy(path("lengths.npy"), lengths);
  io::write_npy(path("slopes.npy"), slopes);
  io::write_npy(path("sinks.npy"), sinks);
  expect_agrees({"--key-lengths", path("lengths.npy")}, {.key_lengths = lengths});
  expect_agrees({"--alibi-slopes", path("slopes.npy"), "--alignment", "bottom-right"},
                {.alignment = Alignment::bottom_right(), .alibi_slopes = slopes});
  expect_agrees({"--sinks", path("sinks.npy"), "--key-lengths", path("lengths.npy")},
                {.key_lengths = lengths, .sinks = sinks});
}

TEST_F(ComputeTest, MasksOfEachKind) {
  Tensor<bool> keep({kL, kS});
  Tensor<std::uint8_t> bytes({kL, kS});
  Tensor<float> bias = drawn({kH, 1, kS}, 9);
  for (std::int64_t i = 0; i < kL; ++i) {
    for (std::int64_t j = 0; j < kS; ++j) {
      keep(i, j) = i != 2 && (i + j) % 3 != 0;  // row 2 is fully masked
      bytes(i, j) = keep(i, j) ? 1 : 0;
    }
  }
  bias(1, 0, 4) = -std::numeric_limits<float>::infinity();
  io::write_npy(path("keep.npy"), keep);
  io::write_npy(path("bytes.npy"), bytes);
  io::write_npy(path("bias.npy"), bias);
  expect_agrees({"--mask", path("keep.npy")}, {.mask = Mask::keep(keep)});
  expect_agrees({"--mask", path("keep.npy"), "--mask-kind", "block"}, {.mask = Mask::block(keep)});
  expect_agrees({"--mask", path("bytes.npy"), "--mask-kind", "keep"}, {.mask = Mask::keep(keep)});
  expect_agrees({"--mask", path("bias.npy"), "--mask-kind", "add"}, {.mask = Mask::add(bias)});
}

TEST_F(ComputeTest, EverythingAtOnceFromOneFile) {
  Tensor<bool> mask = Tensor<bool>::filled({kB, 1, 1, kS}, true);
  mask(0, 0, 0, 3) = false;
  const Tensor<std::int64_t> lengths({kB}, {6, 7});
  const Tensor<float> slopes({kH}, {0.5F, 0.25F, 0.125F, 0.0625F});
  const Tensor<float> sinks({kH}, {0.0F, 1.0F, -1.0F, 2.0F});
  write(path("qkv.npz"), {{.name = "q", .view = q_},
                          {.name = "k", .view = k_},
                          {.name = "v", .view = v_},
                          {.name = "mask", .view = mask},
                          {.name = "key_lengths", .view = lengths},
                          {.name = "alibi_slopes", .view = slopes},
                          {.name = "sinks", .view = sinks}});
  expect_agrees({"--causal", "--alignment", "bottom-right", "--softcap", "2", "--window-left", "4"},
                {.mask = Mask::keep(mask),
                 .causal = true,
                 .alignment = Alignment::bottom_right(),
                 .window = {.left = 4},
                 .key_lengths = lengths,
                 .softcap = 2.0,
                 .alibi_slopes = slopes,
                 .sinks = sinks});
}

TEST_F(ComputeTest, NanInBlockedCellsDoesNotLeak) {
  Tensor<bool> keep = Tensor<bool>::filled({kL, kS}, true);
  for (std::int64_t i = 0; i < kL; ++i) {
    keep(i, 6) = false;
  }
  io::write_npy(path("keep.npy"), keep);
  for (std::int64_t b = 0; b < kB; ++b) {
    for (std::int64_t h = 0; h < kHkv; ++h) {
      k_(b, h, 6, 0) = std::numeric_limits<float>::quiet_NaN();
      v_(b, h, 6, 0) = std::numeric_limits<float>::quiet_NaN();
    }
  }
  write(path("qkv.npz"),
        {{.name = "q", .view = q_}, {.name = "k", .view = k_}, {.name = "v", .view = v_}});
  expect_agrees({"--mask", path("keep.npy")}, {.mask = Mask::keep(keep)});
}

TEST_F(ComputeTest, TakesAndGivesMatricesAndHalfPrecision) {
  const Tensor<float> q = drawn({kL, kD}, 4);
  io::write_npy(path("q.npy"), converted<float16>(q));
  const Outcome outcome = run_command({"compute", "--q", path("q.npy"), "--k", path("q.npy"), "--v",
                                       path("q.npy"), "--weights", "-o", path("r.npz"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["arrays"]["out"]["dtype"], "float16");
  EXPECT_EQ(json["arrays"]["out"]["shape"], (std::vector<int>{kL, kD}));
  EXPECT_EQ(json["arrays"]["weights"]["dtype"], "float32");
  EXPECT_EQ(json["arrays"]["lse"]["shape"], (std::vector<int>{kL}));
}

TEST_F(ComputeTest, SaysWhatIsWrongAndWritesNothing) {
  io::write_npy(path("q.npy"), q_);
  io::write_npy(path("bytes.npy"), Tensor<std::uint8_t>({kL, kS}));
  io::write_npy(path("half.npy"), Tensor<float>::filled({kL, kS}, 0.5F));
  io::write_npy(path("wide.npy"), Tensor<bool>({kL, kS + 1}));
  io::write_npy(path("int.npy"), Tensor<std::int32_t>({kL, kD}));
  const std::string qkv = path("qkv.npz");
  const std::size_t before = files();
  const std::string out = path("result.npz");
  struct Case {
    std::vector<std::string> words;
    int code;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{}, 2, "q is missing"},
      {{"--q", path("q.npy")}, 2, "k is missing"},
      {{qkv, "--mask-kind", "keep"}, 2, "--mask-kind is given, but no mask"},
      {{qkv, "--mask", path("bytes.npy")}, 2, "must say what a mask of uint8 means"},
      {{qkv, "--mask", path("bytes.npy"), "--mask-kind", "add"},
       3,
       "must hold floating numbers; found uint8"},
      {{qkv, "--mask", path("half.npy"), "--mask-kind", "keep"}, 3, "must hold only 0 and 1"},
      {{qkv, "--mask", path("wide.npy")},
       3,
       "mask must broadcast to (B, H, L, S); found mask (5, 8)"},
      {{qkv, "--mask-kind", "both"}, 2, "--mask-kind"},
      {{qkv, "--causal"}, 3, "alignment must be named"},
      {{qkv, "--causal", "--alignment", "left"},
       2,
       "--alignment must be top-left, bottom-right or a whole number"},
      {{qkv, "--softcap", "-1"}, 3, "softcap must be 0"},
      {{qkv, "--window-left", "-5"}, 3, "window.left must be -1"},
      {{qkv, "--path", "gpu"}, 2, "--path"},
      {{qkv, "--k", path("q.npy")}, 3, "key and value must have one number of heads"},
      {{"--q", path("int.npy"), "--k", path("int.npy"), "--v", path("int.npy")},
       3,
       "must be float16, float32 or float64"},
      {{path("none.npz")}, 3, "none.npz"},
      {{qkv, "--key-lengths", path("half.npy")}, 3, "key_lengths must have the shape (B)"},
  };
  for (const Case& c : cases) {
    std::vector<const char*> argv = {"attention", "compute"};
    for (const std::string& word : c.words) {
      argv.push_back(word.c_str());
    }
    argv.insert(argv.end(), {"-o", out.c_str()});
    testing::internal::CaptureStderr();
    EXPECT_EQ(run(static_cast<int>(argv.size()), argv.data()), c.code) << c.message;
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(c.message));
  }
  EXPECT_EQ(run_command({"compute", qkv, "-o", path("no/folder/r.npz")}).code, 4);
  EXPECT_EQ(run_command({"compute", qkv}).code, 2);
  EXPECT_EQ(files(), before);
}

TEST_F(ComputeTest, NamesArraysThatItDoesNotKnow) {
  write(path("odd.npz"), {{.name = "query", .view = q_}});
  const Outcome outcome = run_command({"compute", path("odd.npz"), "-o", path("r.npz")});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("array 'query' is not one of q, k, v"));
}

}  // namespace
}  // namespace attention::cli
