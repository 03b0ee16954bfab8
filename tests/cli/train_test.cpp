#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.hpp"

namespace attention::cli {
namespace {

using testing::HasSubstr;

class TrainTest : public CommandTest {
 protected:
  /// A task that is learnt in a second.
  static Outcome train(const std::string& steps, std::initializer_list<std::string> more) {
    std::vector<std::string> words = {"train", "repeat",  "--length", "3",           "--tokens",
                                      "4",     "--steps", steps,      "--embed-dim", "16"};
    words.insert(words.end(), more);
    return run_command(words);
  }
};

TEST_F(TrainTest, LearnsToLookBack) {
  const Outcome outcome = train("150", {"--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["steps"], 150);
  EXPECT_EQ(json["losses"].size(), 150U);
  EXPECT_EQ(json["chance"], 0.25);
  EXPECT_GT(json["accuracy"], 0.9);
  EXPECT_THAT(outcome.err, HasSubstr("step 150 of 150  loss "));
}

TEST_F(TrainTest, LearnsToReverse) {
  const Outcome outcome = run_command({"train", "reverse", "--steps", "150", "--length", "3",
                                       "--tokens", "4", "--embed-dim", "16", "--heads", "2"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("task        reverse, 3 tokens of 4"));
}

TEST_F(TrainTest, WritesTheLossCurve) {
  const Outcome outcome = train("5", {"-o", path("out")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(files(), 3U);
  EXPECT_THAT(test::read_text(path("out/losses.csv")), testing::StartsWith("step,loss\n1,"));
}

TEST_F(TrainTest, GivesTheSameBytesOnAnyNumberOfThreads) {
  for (const char* const threads : {"1", "2"}) {
    ASSERT_EQ(
        train("40", {"--dropout", "0.1", "--threads", threads, "--checkpoint", path(threads)}).code,
        0);
  }
  EXPECT_EQ(test::read_text(path("1")), test::read_text(path("2")));
}

TEST_F(TrainTest, SaysWhatIsWrongAndWritesNothing) {
  EXPECT_EQ(train("9", {"--resume"}).code, 2);
  EXPECT_EQ(train("0", {}).code, 2);
  EXPECT_EQ(run_command({"train", "sing"}).code, 2);
  const Outcome heads = train("9", {"--heads", "3"});
  EXPECT_EQ(heads.code, 3);
  EXPECT_THAT(heads.err, HasSubstr("embed_dim must be divisible by num_heads"));
  const Outcome folder = train("100000", {"-o", "/proc/none", "--checkpoint", path("c")});
  EXPECT_EQ(folder.code, 4);
  EXPECT_THAT(folder.err, HasSubstr("the folder cannot be made"));
  EXPECT_EQ(files(), 0U);
}

}  // namespace
}  // namespace attention::cli
