#include <fstream>

#include <gmock/gmock.h>

#include <attention/io/npz.hpp>

#include "tests/cli/command.hpp"

namespace attention::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string first_bytes(const std::string& path, std::size_t count) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(count, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(count));
  return bytes;
}

class HeatmapTest : public CommandTest {
 protected:
  HeatmapTest() {
    io::write_npy(path("w.npy"), Tensor<float>({2, 2}, {0.25F, 0.75F, 1.0F, 0.0F}));
    io::write_npy(path("heads.npy"), Tensor<float>({1, 3, 2, 2}));
  }
};

TEST_F(HeatmapTest, DrawsInTheTerminal) {
  const Outcome outcome =
      run_command({"heatmap", path("w.npy"), "--labels", "the,cat", "--color", "never"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("the"));
  EXPECT_THAT(outcome.out, HasSubstr("0.75"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\033[")));
  const Outcome colours = run_command({"heatmap", path("w.npy"), "--color", "always"});
  EXPECT_THAT(colours.out, HasSubstr("\033["));
}

TEST_F(HeatmapTest, WritesEachFormat) {
  for (const auto& [name, magic] :
       {std::pair("w.png", "\x89PNG"), std::pair("w.svg", "<?xml"), std::pair("w.pdf", "%PDF")}) {
    const Outcome outcome =
        run_command({"heatmap", path("w.npy"), "-o", path(name), "--title", "T"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, path(name) + "\n");
    EXPECT_EQ(first_bytes(path(name), std::string(magic).size()), magic);
  }
}

TEST_F(HeatmapTest, DrawsAllHeads) {
  const Outcome outcome = run_command({"heatmap", path("heads.npy"), "--color", "never"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Head 2"));
  EXPECT_EQ(run_command({"heatmap", path("heads.npy"), "--batch", "1"}).code, 3);
}

TEST_F(HeatmapTest, SaysWhatIsWrongAndWritesNothing) {
  const std::size_t before = files();
  EXPECT_EQ(run_command({"heatmap", path("missing.npy")}).code, 3);
  const Outcome labels =
      run_command({"heatmap", path("w.npy"), "--labels", "one", "-o", path("w.png")});
  EXPECT_EQ(labels.code, 3);
  EXPECT_THAT(labels.err, HasSubstr("label"));
  EXPECT_EQ(run_command({"heatmap", path("w.npy"), "-o", path("w.gif")}).code, 3);
  EXPECT_EQ(run_command({"heatmap", path("w.npy"), "-o", path("no/such/folder/w.png")}).code, 4);
  EXPECT_EQ(run_command({"heatmap", path("w.npy"), "--json"}).code, 2);
  EXPECT_EQ(run_command({"heatmap", path("w.npy"), "--min", "2", "--max", "1"}).code, 3);
  EXPECT_EQ(files(), before);
}

}  // namespace
}  // namespace attention::cli
