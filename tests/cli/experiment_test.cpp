#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <attention/core/random.hpp>
#include <attention/io/npz.hpp>

#include "experiments/run.hpp"
#include "tests/cli/command.hpp"

namespace attention::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class ExperimentTest : public CommandTest {};

TEST_F(ExperimentTest, PrintsTheDrawAndWhatHolds) {
  const Outcome outcome =
      run_command({"experiment", "pattern", "--seeds", "500", "--color", "never"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Repeated patterns"));
  EXPECT_THAT(outcome.out, HasSubstr("1/3 for each pattern"));
  EXPECT_THAT(outcome.out, HasSubstr("not supported: chance"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\033[")));
  EXPECT_EQ(outcome.err, "");  // no progress where there is no terminal
}

TEST_F(ExperimentTest, JsonHoldsTheDrawBitForBit) {
  const Outcome outcome =
      run_command({"experiment", "pattern", "--seed", "42", "--seeds", "0", "--json"});
  const auto json = nlohmann::json::parse(outcome.out);
  const experiments::Draw drawn =
      experiments::draw(*experiments::find_experiment("pattern"), {}, 42);
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t j = 0; j < 6; ++j) {
      EXPECT_EQ(
          json["weights"][0][static_cast<std::size_t>(i)][static_cast<std::size_t>(j)].get<float>(),
          drawn.weights(0, i, j));
    }
  }
  EXPECT_EQ(json["parameters"]["W_q.weight"][7][7].get<float>(), drawn.parameters[0].value(7, 7));
  EXPECT_EQ(json["parameters"]["W_o.bias"][0].get<float>(), drawn.parameters[7].value(0));
  EXPECT_EQ(json["labels"][3], "A2");
  EXPECT_EQ(json["command"], "attention experiment pattern --seed 42 --seeds 0 --json");
}

TEST_F(ExperimentTest, TakesSeedsAsTorchDoes) {
  const auto weights = [](const std::string& seed) {
    const Outcome outcome =
        run_command({"experiment", "pattern", "--seed", seed, "--seeds", "0", "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out)["weights"];
  };
  EXPECT_EQ(weights("42"), weights("4294967338"));
  EXPECT_EQ(weights("-1"), weights("18446744073709551615"));
  EXPECT_NE(weights("1"), weights("2"));
  EXPECT_EQ(run_command({"experiment", "pattern", "--seed", "18446744073709551616"}).code, 2);
}

TEST_F(ExperimentTest, ClaimsCarryIntervalsAndExactValues) {
  const Outcome outcome = run_command({"experiment", "sequential", "--seeds", "2000", "--json"});
  const auto json = nlohmann::json::parse(outcome.out);
  const auto& event = json["claims"][0]["events"][0];
  EXPECT_EQ(event["exact"], 0.125);
  EXPECT_LE(event["interval"][0].get<double>(), 0.125);
  EXPECT_GE(event["interval"][1].get<double>(), 0.125);
  EXPECT_EQ(json["claims"][1]["events"].size(), 16U);
  EXPECT_EQ(json["claims"][0]["verdict"], "chance");
}

TEST_F(ExperimentTest, AllWritesFiguresDataAndReport) {
  const Outcome outcome = run_command(
      {"experiment", "all", "--seeds", "300", "--output", path("out"), "--format", "svg"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(path("out/report.html")));
  for (const char* name :
       {"report.html", "experiments.json", "pattern_weights.svg", "fibonacci_rise.svg",
        "sequential_claim_largest.svg", "uniform_control.svg", "focused_draws.svg"}) {
    EXPECT_TRUE(std::filesystem::exists(path(std::string("out/") + name))) << name;
  }
  std::ifstream file(path("out/experiments.json"));
  EXPECT_EQ(nlohmann::json::parse(file)["experiments"].size(), 5U);
}

TEST_F(ExperimentTest, TheSameCommandGivesTheSameBytes) {
  for (const char* folder : {"a", "b"}) {
    ASSERT_EQ(run_command({"experiment", "fibonacci", "--seeds", "200", "-o", path(folder)}).code,
              0);
  }
  for (const auto& entry : std::filesystem::directory_iterator(path("a"))) {
    EXPECT_EQ(test::read_text(entry.path()),
              test::read_text(std::filesystem::path(path("b")) / entry.path().filename()))
        << entry.path().filename();
  }
}

TEST_F(ExperimentTest, RunsOnTokensOfOnesOwn) {
  random::Generator generator(5);
  Tensor<float> tokens({3, 4});
  random::normal(tokens, 0.0, 1.0, generator);
  io::write_npy(path("mine.npy"), tokens);
  const Outcome outcome =
      run_command({"experiment", "--tokens", path("mine.npy"), "--labels", "<b>x</b>,y,z",
                   "--heads", "2", "--seeds", "200", "-o", path("mine")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(std::filesystem::exists(path("mine/custom_weights.png")));
  EXPECT_TRUE(std::filesystem::exists(path("mine/custom_weight_on_self.svg")));
}

TEST_F(ExperimentTest, SaysWhatIsWrongAndWritesNothing) {
  const Outcome heads = run_command({"experiment", "pattern", "--heads", "3"});
  EXPECT_EQ(heads.code, 3);
  EXPECT_THAT(heads.err, HasSubstr("heads must divide the embedding size E; found heads 3, E = 8"));
  EXPECT_EQ(run_command({"experiment", "pattern", "--labels", "a"}).code, 2);
  EXPECT_EQ(run_command({"experiment", "--tokens", path("missing.npy")}).code, 3);
  io::write_npy(path("flat.npy"), Tensor<float>({3}));
  EXPECT_EQ(run_command({"experiment", "--tokens", path("flat.npy")}).code, 3);
  std::ofstream(path("file")) << "not a folder";
  const Outcome folder =
      run_command({"experiment", "pattern", "--seeds", "10", "-o", path("file/out")});
  EXPECT_EQ(folder.code, 4);
  EXPECT_THAT(folder.err, HasSubstr("the folder cannot be made"));
  EXPECT_EQ(files(), 2U);
}

}  // namespace
}  // namespace attention::cli
