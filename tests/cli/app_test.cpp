#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <attention/core/version.hpp>
#include <attention/ops/kernel_isas.hpp>

#include "tests/cli/command.hpp"

namespace attention::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(App, HelpHasExamplesAndExitCodes) {
  const Outcome help = run_command({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_THAT(help.out, HasSubstr("Exit codes:"));
  for (const char* verb : {"experiment", "compute", "heatmap"}) {
    const Outcome verb_help = run_command({verb, "--help"});
    EXPECT_EQ(verb_help.code, 0);
    EXPECT_THAT(verb_help.out, HasSubstr("Examples:")) << verb;
  }
}

TEST(App, SaysItsVersion) {
  EXPECT_EQ(run_command({"--version"}).out, std::string("attention ") + ATTENTION_VERSION + "\n");
}

TEST(App, WithoutAVerbShowsTheHelp) {
  const Outcome outcome = run_command({});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, HasSubstr("experiment"));
}

TEST(App, SuggestsTheVerbTheOptionAndTheExperimentThatWereMeant) {
  const Outcome verb = run_command({"experimnt"});
  EXPECT_EQ(verb.code, 2);
  EXPECT_THAT(verb.err, HasSubstr("there is no verb 'experimnt' (did you mean 'experiment'?)"));
  EXPECT_EQ(verb.out, "");
  const Outcome option = run_command({"experiment", "pattern", "--sede", "1"});
  EXPECT_EQ(option.code, 2);
  EXPECT_THAT(option.err, HasSubstr("did you mean '--seed'?"));
  const Outcome name = run_command({"experiment", "patern"});
  EXPECT_EQ(name.code, 2);
  EXPECT_THAT(name.err, HasSubstr("there is no experiment 'patern' (did you mean 'pattern'?)"));
}

TEST(App, RefusesValuesThatCannotBe) {
  EXPECT_EQ(run_command({"experiment", "pattern", "--seed", "1.5"}).code, 2);
  EXPECT_EQ(run_command({"experiment", "pattern", "--threads", "-1"}).code, 2);
  EXPECT_EQ(run_command({"experiment", "pattern", "--color", "sometimes"}).code, 2);
  EXPECT_EQ(run_command({"experiment", "pattern", "--format", "gif"}).code, 2);
}

TEST(Info, SaysVersionIsaAndThreads) {
  const Outcome text = run_command({"info"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("isa        " + std::string(name_of(default_kernel_isa()))));
  const auto json = nlohmann::json::parse(run_command({"info", "--json"}).out);
  EXPECT_EQ(json["version"], ATTENTION_VERSION);
  EXPECT_GE(json["threads"], 1);
  EXPECT_EQ(json["isas_of_this_cpu"][0], "portable");
  EXPECT_EQ(json["isas_of_the_kernels"][0], "portable");
  EXPECT_EQ(json["isa_used"], name_of(default_kernel_isa()));
}

TEST(Completion, NamesVerbsOptionsAndExperiments) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome script = run_command({"completion", shell});
    EXPECT_EQ(script.code, 0);
    EXPECT_THAT(script.out, HasSubstr("heatmap")) << shell;
    EXPECT_THAT(script.out, HasSubstr("mask-kind")) << shell;
    EXPECT_THAT(script.out, HasSubstr("fibonacci")) << shell;
  }
  EXPECT_EQ(run_command({"completion", "tcsh"}).code, 2);
}

}  // namespace
}  // namespace attention::cli
