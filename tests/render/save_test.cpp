#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <attention/core/error.hpp>
#include <attention/render/detail/svg_ids.hpp>
#include <attention/render/save.hpp>

#include "tests/support/files.hpp"

namespace attention::render {
namespace {

using test::FileSizeLimit;
using test::read_text;
using test::TemporaryFolder;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace fs = std::filesystem;

Heatmap small(double width = 0) {
  return {.values = Tensor<double>({2, 2}, {0.1, 0.9, 0.4, 0.6}),
          .row_labels = {"Fib(1)=1", "Fib(6)=8"},
          .title = "Weights",
          .width = width};
}

std::vector<Figure> one_of_each() {
  return {small(),
          HeatmapGrid{.panels = {small(), small()}},
          Histogram{.values = {1, 2, 2, 3}, .markers = {{.at = 2, .label = "mean"}}},
          BarChart{.bars = {{.label = "a",
                             .value = 1,
                             .interval = Interval{.low = 0, .high = 2},
                             .reference = 1.5}}},
          LineChart{.series = {{.name = "s", .x = {1, 2}, .y = {1, 2}, .markers = Markers::on}}},
          Heatmap{.values = Tensor<double>(Shape{100, 100})}};
}

template <class Kind, class Function>
std::string message_of(const Function& function) {
  try {
    function();
  } catch (const Kind& error) {
    return error.what();
  }
  return "no error";
}

/// What stands between each `begin` and the next `end`, within one line.
std::vector<std::string> between(const std::string& text, std::string_view begin,
                                 std::string_view end) {
  std::vector<std::string> found;
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const std::size_t from = at + begin.size();
    const std::string piece = text.substr(from, text.find(end, from) - from);
    if (piece.find_first_of("\n\" ") == std::string::npos) {
      found.push_back(piece);
    }
  }
  return found;
}

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  }
  return value;
}

TEST(Formats, HaveTheirMagicBytes) {
  for (const Figure& figure : one_of_each()) {
    EXPECT_THAT(to_png(figure), StartsWith("\x89PNG\r\n\x1a\n"));
    EXPECT_THAT(to_pdf(figure), StartsWith("%PDF-1."));
    EXPECT_THAT(to_pdf(figure), HasSubstr("%%EOF"));
    EXPECT_THAT(to_svg(figure), StartsWith("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "));
    EXPECT_THAT(to_svg(figure), EndsWith("</svg>\n"));
  }
}

TEST(Formats, AreTheSameBytesEachTime) {
  for (const Figure& figure : one_of_each()) {
    const std::string svg = to_svg(figure);
    const std::string pdf = to_pdf(figure);
    const std::string png = to_png(figure);
    EXPECT_EQ(to_svg(figure), svg);
    EXPECT_EQ(to_pdf(figure), pdf);
    EXPECT_EQ(to_png(figure), png);
    EXPECT_THAT(pdf, Not(HasSubstr("CreationDate")));
  }
}

TEST(Formats, AreTheSameBytesOnEveryThread) {
  const std::vector<Figure> figures = one_of_each();
  std::vector<std::string> expected;
  expected.reserve(figures.size());
  for (const Figure& figure : figures) {
    expected.push_back(to_svg(figure) + to_png(figure) + to_pdf(figure));
  }
  std::vector<std::vector<std::string>> found(4);
  std::vector<std::thread> threads;
  threads.reserve(found.size());
  for (std::vector<std::string>& mine : found) {
    threads.emplace_back([&] {
      for (const Figure& figure : figures) {
        mine.push_back(to_svg(figure) + to_png(figure) + to_pdf(figure));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const std::vector<std::string>& mine : found) {
    EXPECT_EQ(mine, expected);
  }
}

TEST(Png, HasTheSizeTimesTheScale) {
  const Heatmap figure = small(300);
  const std::vector<std::string> sizes = between(to_svg(figure), "=\"", "px\"");
  ASSERT_GE(sizes.size(), 2U);
  EXPECT_EQ(sizes[0], "300");
  const double height = std::stod(sizes[1]);
  for (const double scale : {0.5, 1.0, 2.0, 3.25}) {
    const std::string png = to_png(figure, {.scale = scale});
    EXPECT_EQ(big_endian(png, 16), std::lround(300 * scale));
    EXPECT_EQ(big_endian(png, 20), std::lround(height * scale));
  }
  EXPECT_EQ(big_endian(to_png(figure), 16), 600U);
}

TEST(Png, ChecksTheScale) {
  for (const double scale : {0.0, -1.0, 17.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(message_of<Error>([&] { to_png(small(), {.scale = scale}); }),
                StartsWith("render::to_png: scale must lie in (0, 16]; found "));
  }
  EXPECT_THAT(message_of<Error>([] { to_png(small(4000), {.scale = 9}); }),
              HasSubstr("no side of a PNG may exceed 32767 pixels; found 4000 x "));
}

TEST(Svg, HasIdsOfItsOwn) {
  const std::string svg = to_svg(small());
  const std::vector<std::string> defined = between(svg, " id=\"", "\"");
  const std::set<std::string> mine(defined.begin(), defined.end());
  EXPECT_EQ(mine.size(), defined.size());
  EXPECT_GT(mine.size(), 5U);
  std::vector<std::string> referred = between(svg, "=\"#", "\"");
  EXPECT_GT(referred.size(), 5U);
  for (const std::string& id : between(svg, "url(#", ")")) {
    referred.push_back(id);
  }
  for (const std::string& id : referred) {
    EXPECT_EQ(mine.count(id), 1U) << id;
  }
  for (const std::string& id : between(to_svg(small(301)), " id=\"", "\"")) {
    EXPECT_EQ(mine.count(id), 0U);
  }
}

TEST(Svg, RenumbersIdsByTheirFirstAppearance) {
  const std::string one = detail::with_ids_of_content(
      R"svg(<g id="surface7"/><use href="#x9"/><a b="url(#surface7)"/><i id="x9" d="#"/>)svg");
  const std::string other = detail::with_ids_of_content(
      R"svg(<g id="surface8"/><use href="#x3"/><a b="url(#surface8)"/><i id="x3" d="#"/>)svg");
  EXPECT_EQ(one, other);
  const std::vector<std::string> ids = between(one, " id=\"", "\"");
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_THAT(ids[0], testing::MatchesRegex("f[0-9a-f]+-0"));
  EXPECT_THAT(ids[1], testing::MatchesRegex("f[0-9a-f]+-1"));
  EXPECT_THAT(one, HasSubstr("href=\"#" + ids[1] + "\""));
  EXPECT_THAT(one, HasSubstr("url(#" + ids[0] + ")"));
}

TEST(Svg, HostileLabelsStayInside) {
  Heatmap figure = small();
  figure.title = "</svg><script>alert(1)</script> \"&quot; \x1b[2J \xff";
  figure.row_labels = {"<script>", std::string("a\0b", 3)};
  figure.row_title = "\n\n\t";
  figure.column_title = "\u202Eabc";
  figure.color.title = std::string(3000, '<');
  const std::string svg = to_svg(figure);
  EXPECT_THAT(svg, Not(HasSubstr("script")));
  EXPECT_EQ(svg.find("</svg>"), svg.size() - 7);
  for (const char byte : svg) {
    ASSERT_TRUE(byte == '\n' || (byte >= ' ' && byte < 0x7F));
  }
  EXPECT_THAT(to_pdf(figure), StartsWith("%PDF"));
}

TEST(Pdf, HasTextThatCanBeSearchedAndATitle) {
  EXPECT_THAT(to_pdf(small()), HasSubstr("/Title (Weights)"));
  EXPECT_THAT(to_pdf(small()), HasSubstr("ToUnicode"));
}

TEST(Save, ChoosesTheFormatByTheExtension) {
  const TemporaryFolder folder;
  const Heatmap figure = small();
  for (const char* name : {"a.svg", "a.SVG"}) {
    save(figure, folder / name);
    EXPECT_EQ(read_text(folder / name), to_svg(figure));
  }
  save(figure, folder / "a.pdf");
  EXPECT_EQ(read_text(folder / "a.pdf"), to_pdf(figure));
  save(figure, folder / "a.png", {.scale = 1});
  EXPECT_EQ(read_text(folder / "a.png"), to_png(figure, {.scale = 1}));
  EXPECT_EQ(std::ssize(folder.names()), 4);
  for (const char* name : {"a.jpg", "a", "a.svg.gz", ".png"}) {
    const fs::path path = folder / name;
    EXPECT_EQ(message_of<Error>([&] { save(figure, path); }),
              "render::save: the extension must be .png, .svg or .pdf; found " + path.string());
  }
  EXPECT_EQ(std::ssize(folder.names()), 4);
}

TEST(Save, ReplacesTheWholeFile) {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.svg") << std::string(1000000, 'x');
  save(small(), folder / "a.svg");
  EXPECT_EQ(read_text(folder / "a.svg"), to_svg(small()));
}

TEST(Save, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  std::ofstream(folder / "old.png") << "old";
  EXPECT_THAT(
      message_of<FileError>([&] { save(small(), folder / "none" / "a.png"); }),
      HasSubstr("a.png: cannot create a temporary file beside it: No such file or directory"));
  // A folder in the way.
  fs::create_directories(folder / "taken.svg" / "inner");
  EXPECT_THAT(message_of<FileError>([&] { save(small(), folder / "taken.svg"); }),
              HasSubstr("taken.svg: is not a regular file"));
  EXPECT_EQ(std::ssize(folder.names()), 2);
  // An error of the figure comes before any file.
  Heatmap broken = small();
  broken.row_labels = {"one"};
  EXPECT_THAT(message_of<Error>([&] { save(broken, folder / "old.png"); }),
              StartsWith("render::save: row_labels"));
  EXPECT_EQ(read_text(folder / "old.png"), "old");
  EXPECT_EQ(std::ssize(folder.names()), 2);
  if (::geteuid() != 0) {
    fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
    EXPECT_THAT(message_of<FileError>([&] { save(small(), folder / "old.png"); }),
                HasSubstr("Permission denied"));
    EXPECT_EQ(read_text(folder / "old.png"), "old");
    EXPECT_EQ(std::ssize(folder.names()), 2);
  }
}

TEST(Save, LeavesNothingBehindWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  std::string message;
  {
    const FileSizeLimit limit(100);
    message = message_of<FileError>([&] { save(small(), folder / "a.png"); });
  }
  EXPECT_THAT(message, HasSubstr("a.png: cannot write the temporary file: File too large"));
  EXPECT_EQ(std::ssize(folder.names()), 0);
}

}  // namespace
}  // namespace attention::render
