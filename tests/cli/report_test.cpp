#include <regex>

#include <gmock/gmock.h>

#include "cli/report/findings.hpp"
#include "cli/report/page.hpp"
#include "experiments/run.hpp"

namespace attention::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

experiments::Result result_of(const experiments::Experiment& experiment, std::int64_t seeds) {
  return experiments::run(experiment, {.seeds = seeds});
}

TEST(Report, NeedsNoNetworkAndNoScript) {
  const experiments::Result result = result_of(*experiments::find_experiment("pattern"), 100);
  const std::string html = report_page({{.result = &result, .figures = figures_of(result)}});
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<link")));
  EXPECT_THAT(html, HasSubstr("data:image/svg+xml;base64,"));
  EXPECT_THAT(html, HasSubstr("attention experiment pattern --seed 42 --seeds 100 --output out"));
  // Each image says what it shows.
  const std::regex image("<img alt=\"\"");
  EXPECT_FALSE(std::regex_search(html, image));
}

TEST(Report, ShowsLabelsAndNeverRunsThem) {
  const experiments::Experiment mine = experiments::custom_experiment(
      Tensor<float>({2, 2}, {1, 0, 0, 1}), {"<script>alert(1)</script>", "\"&'"});
  const experiments::Result result = result_of(mine, 50);
  const std::string html = report_page({{.result = &result, .figures = figures_of(result)}});
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

TEST(Findings, SayWhatHoldsInWords) {
  const experiments::Result result = result_of(*experiments::find_experiment("pattern"), 1000);
  const std::vector<Finding> findings = findings_of(result);
  ASSERT_EQ(findings.size(), 4U);
  EXPECT_EQ(findings[0].one_draw, "2 of 3");
  EXPECT_EQ(findings[0].control, "3 of 3");
  EXPECT_EQ(findings[0].verdict, "not supported: chance (proved)");
  EXPECT_EQ(findings[1].one_draw, "yes");
  EXPECT_EQ(findings[1].verdict, "always true (proved)");
  EXPECT_EQ(findings[2].exact, "mean 0");
}

TEST(Findings, WithoutSeedsSayThatNoneWereRun) {
  const experiments::Result result = result_of(*experiments::find_experiment("pattern"), 0);
  for (const Finding& finding : findings_of(result)) {
    EXPECT_EQ(finding.over_seeds, "not run");
  }
}

TEST(WithThousands, GroupsDigits) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(-1234567), "-1,234,567");
}

}  // namespace
}  // namespace attention::cli
