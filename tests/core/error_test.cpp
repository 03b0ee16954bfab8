#include <gtest/gtest.h>

#include <attention/core/error.hpp>

namespace attention {
namespace {

TEST(Error, SaysFunctionRuleAndFound) {
  const Error error("sdpa", "key must have the head size of query", "query (1, 4), key (1, 3)");
  EXPECT_STREQ(error.what(),
               "sdpa: key must have the head size of query; found query (1, 4), key (1, 3)");
  EXPECT_EQ(error.function(), "sdpa");
  EXPECT_EQ(error.rule(), "key must have the head size of query");
  EXPECT_EQ(error.found(), "query (1, 4), key (1, 3)");
}

TEST(Error, LeavesOutAnEmptyFound) {
  EXPECT_STREQ(Error("f", "a rule", "").what(), "f: a rule");
}

TEST(FileError, SaysPathAndReason) {
  const FileError error("a/b.npy", "the file is truncated");
  EXPECT_STREQ(error.what(), "a/b.npy: the file is truncated");
  EXPECT_EQ(error.path(), "a/b.npy");
  EXPECT_EQ(error.reason(), "the file is truncated");
}

TEST(Require, DescribesOnlyWhatBroke) {
  int described = 0;
  const auto found = [&] {
    ++described;
    return std::string("it");
  };
  require(true, "f", "rule", found);
  EXPECT_EQ(described, 0);
  EXPECT_THROW(require(false, "f", "rule", found), Error);
  EXPECT_EQ(described, 1);
  EXPECT_THROW(require(false, [] { return Error("f", "rule", "it"); }), Error);
}

}  // namespace
}  // namespace attention
