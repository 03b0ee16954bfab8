#include "cli/arrays.hpp"

#include <gmock/gmock.h>

#include <attention/core/error.hpp>

#include "tests/cli/command.hpp"

namespace attention::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SplitLabels, SplitsAtCommasThatAreNotEscaped) {
  EXPECT_THAT(split_labels("a,b,c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split_labels(R"(Dep(1\,2),x)"), ElementsAre("Dep(1,2)", "x"));
  EXPECT_THAT(split_labels("a,,"), ElementsAre("a", "", ""));
  EXPECT_THAT(split_labels(R"(a\b)"), ElementsAre(R"(a\b)"));
}

class ArraysTest : public CommandTest {};

TEST_F(ArraysTest, PicksAnArrayByName) {
  const Tensor<float> a({1}, {1.0F});
  const Tensor<float> b({1}, {2.0F});
  const std::vector<io::NamedView> both = {{.name = "a", .view = a}, {.name = "b", .view = b}};
  io::write_npz(path("two.npz"), both);
  EXPECT_EQ(read_one_array(path("two.npz:b")).as<float>()(0), 2.0F);
  try {
    read_one_array(path("two.npz"));
    FAIL();
  } catch (const FileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("name it as FILE:NAME, with a name from: a, b"));
  }
  try {
    read_one_array(path("two.npz:c"));
    FAIL();
  } catch (const FileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no array 'c' in it; it has: a, b"));
  }
}

TEST_F(ArraysTest, AFileWithAColonInItsNameIsItself) {
  io::write_npy(path("odd:name.npy"), Tensor<float>({2}));
  EXPECT_EQ(read_one_array(path("odd:name.npy")).shape(), (Shape{2}));
}

}  // namespace
}  // namespace attention::cli
