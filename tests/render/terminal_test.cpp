#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/render/detail/ansi.hpp>
#include <attention/render/detail/text.hpp>
#include <attention/render/terminal.hpp>

namespace attention::render {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Heatmap small() {
  return {.values = Tensor<double>({2, 2}, {0.25, 0.75, kNaN, 1.0}),
          .row_labels = {"A1", "B"},
          .column_labels = {"x", "long label"},
          .title = "Weights"};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

/// The text without its escape sequences, of which only colours are allowed.
std::string plain(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      const std::size_t end = text.find('m', i);
      const std::string sequence = text.substr(i, end - i + 1);
      EXPECT_THAT(sequence, testing::MatchesRegex("\x1b\\[[0-9;]*m"));
      i = end;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

TEST(TerminalHeatmap, ShowsValuesAndShadesWithoutColor) {
  EXPECT_EQ(to_terminal(small(), {.charset = Charset::ascii}),
            "Weights\n"
            "Query position (down), Key position (across)\n"
            "       x      long label\n"
            "A1   0.25       0.75 *\n"
            " B    nan ?     1.00 @\n"
            "Attention weight 0.25 [ .:-=+*#%@] 1\n");
  EXPECT_EQ(to_terminal(small()),
            "Weights\n"
            "Query position ↓  Key position →\n"
            "       x      long label\n"
            "A1   0.25       0.75 ▓\n"
            " B    nan ?     1.00 █\n"
            "Attention weight 0.25 [ ░▒▓█] 1\n");
}

TEST(TerminalHeatmap, ColorsCells) {
  Heatmap figure{.values = Tensor<double>({1, 2}, {0.0, 1.0}), .row_title = "Q"};
  figure.color.title = "w";
  const std::string truecolor =
      to_terminal(figure, {.color = ColorSupport::truecolor, .charset = Charset::ascii});
  EXPECT_THAT(lines_of(truecolor)[2],
              "0 \x1b[48;2;247;251;255;38;2;0;0;0m 0.00 \x1b[0m"
              "\x1b[48;2;8;48;107;38;2;255;255;255m 1.00 \x1b[0m");
  const std::string palette =
      to_terminal(figure, {.color = ColorSupport::ansi256, .charset = Charset::ascii});
  EXPECT_THAT(lines_of(palette)[2],
              "0 \x1b[48;5;231;38;5;16m 0.00 \x1b[0m\x1b[48;5;23;38;5;231m 1.00 \x1b[0m");
  EXPECT_EQ(plain(palette), plain(truecolor));
  EXPECT_EQ(lines_of(plain(palette))[3], "w 0 " + std::string(24, ' ') + " 1");
}

void expect_within_width(const Heatmap& figure) {
  for (const int width : {40, 53, 80, 200}) {
    for (const ColorSupport color :
         {ColorSupport::none, ColorSupport::ansi256, ColorSupport::truecolor}) {
      for (const Charset charset : {Charset::ascii, Charset::unicode}) {
        const std::string text =
            to_terminal(figure, {.color = color, .charset = charset, .width = width});
        for (const std::string& line : lines_of(plain(text))) {
          EXPECT_LE(detail::display_width(line), width) << line;
        }
      }
    }
  }
}

TEST(TerminalHeatmap, StaysWithinTheWidth) {
  for (const std::int64_t columns : {1, 2, 5, 12, 40, 300}) {
    Heatmap figure{.values = Tensor<double>(Shape{7, columns}), .title = std::string(200, 't')};
    for (std::int64_t i = 0; i < 7 * columns; ++i) {
      figure.values.data()[i] = -1e-9 + 0.1 * static_cast<double>(i);
    }
    expect_within_width(figure);
    figure.row_labels.assign(7, "a row's label that is far too long to be shown");
    figure.column_labels.assign(static_cast<std::size_t>(columns), "列の見出し");
    figure.decimals = 10;
    expect_within_width(figure);
  }
}

TEST(TerminalHeatmap, AlignsCellsByDisplayWidth) {
  const Heatmap figure{.values = Tensor<double>({3, 1}, {0.0, 0.5, 1.0}),
                       .row_labels = {"日本", "e\u0301", "abc"}};
  const std::vector<std::string> lines = lines_of(to_terminal(figure));
  for (std::size_t i = 2; i < 5; ++i) {
    const std::string before = lines[i].substr(0, lines[i].find('.'));
    EXPECT_EQ(detail::display_width(before), 7) << lines[i];
  }
}

TEST(TerminalHeatmap, ShowsBlocksOfALargeMatrix) {
  Heatmap figure{.values = Tensor<double>::filled({40, 40}, 1.0)};
  for (int i = 0; i < 40; ++i) {
    for (int j = i + 1; j < 40; ++j) {
      figure.values(i, j) = 0;
    }
  }
  const std::string text =
      to_terminal(figure, {.charset = Charset::ascii, .width = 40, .height = 100});
  EXPECT_EQ(text,
            "Query position (down), Key position (ac~\n"
            "   0   6   12  18  24  30  36\n"
            " 0 **\n"
            " 3 @@**\n"
            " 6 @@@@**\n"
            " 9 @@@@@@**\n"
            "12 @@@@@@@@**\n"
            "15 @@@@@@@@@@**\n"
            "18 @@@@@@@@@@@@**\n"
            "21 @@@@@@@@@@@@@@**\n"
            "24 @@@@@@@@@@@@@@@@**\n"
            "27 @@@@@@@@@@@@@@@@@@**\n"
            "30 @@@@@@@@@@@@@@@@@@@@**\n"
            "33 @@@@@@@@@@@@@@@@@@@@@@**\n"
            "36 @@@@@@@@@@@@@@@@@@@@@@@@**\n"
            "39 @@@@@@@@@@@@@@@@@@@@@@@@@@@@\n"
            "Each cell: the mean of up to 3 x 3 valu~\n"
            "Attention weight 0 [ .:-=+*#%@] 1\n");
  const std::string low = to_terminal(Heatmap{.values = Tensor<double>(Shape{100, 2})},
                                      {.charset = Charset::ascii, .height = 10});
  EXPECT_THAT(low, HasSubstr("Each cell: the mean of up to 10 x 1 values"));
}

TEST(TerminalHeatmap, WritesNoValuesWhenTold) {
  Heatmap figure = small();
  figure.annotation = Annotation::never;
  EXPECT_THAT(to_terminal(figure), Not(HasSubstr("0.75")));
}

TEST(TerminalHeatmap, LetsNoLabelDriveTheTerminal) {
  Heatmap figure = small();
  figure.title = "\x1b]0;owned\x07 \u009b2J";
  figure.row_labels = {"\x1b[31mred", "a\r\nb"};
  figure.column_labels = {"\x08\x08", "\u202Eabc"};
  figure.row_title = figure.column_title = figure.color.title = "\x1b[2J";
  for (const Charset charset : {Charset::ascii, Charset::unicode}) {
    const std::string text = to_terminal(figure, {.charset = charset});
    for (const char32_t point : detail::decode(text)) {
      EXPECT_TRUE(point == U'\n' || (point >= U' ' && point != 0x7F && point != 0x9B)) << text;
      EXPECT_NE(point, char32_t{0x202E});
    }
    EXPECT_EQ(lines_of(text).size(), 6U);
  }
}

TEST(TerminalGrid, ShowsPanelsAndOneBar) {
  HeatmapGrid grid{.panels = {small(), small()}, .title = "Two heads"};
  grid.panels[1].title = "Head 1";
  const std::string shared = to_terminal(grid);
  EXPECT_THAT(shared, testing::StartsWith("Two heads\n\nWeights\n"));
  EXPECT_THAT(shared, HasSubstr("\n\nHead 1\n"));
  EXPECT_EQ(shared.find("Attention weight"), shared.rfind("Attention weight"));
  grid.sharing = ScaleSharing::separate;
  const std::string separate = to_terminal(grid);
  EXPECT_NE(separate.find("Attention weight"), separate.rfind("Attention weight"));
}

TEST(TerminalHistogram, DrawsBars) {
  const Histogram figure{.edges = {0, 0.5, 1},
                         .counts = {2, 8},
                         .markers = {{.at = 0.75, .label = "mean"}, {.at = -3, .label = "exact"}},
                         .title = "Draws",
                         .value_title = "x"};
  EXPECT_EQ(to_terminal(figure, {.charset = Charset::ascii, .width = 40}),
            "Draws\n"
            "x: Count\n"
            "[0.0, 0.5)  2  #####\n"
            "[0.5, 1.0]  8  ################## < mean\n"
            "exact: -3.0\n");
  EXPECT_THAT(to_terminal(figure, {.width = 40}), HasSubstr("2  ████▌\n"));
  // A marker at the upper edge belongs to the last bin.
  EXPECT_THAT(to_terminal(Histogram{
                  .edges = {0, 1}, .counts = {1}, .markers = {{.at = 1, .label = "top"}}}),
              HasSubstr("< top"));
  for (const int width : {40, 57, 100}) {
    for (const std::string& line : lines_of(to_terminal(figure, {.width = width}))) {
      EXPECT_LE(detail::display_width(line), width);
    }
  }
}

TEST(Terminal, ChecksFigureAndOptions) {
  const auto message = [](const auto& function) -> std::string {
    try {
      function();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message([] { to_terminal(small(), {.width = 39}); }),
            "render::to_terminal: width must lie in [40, 1000]; found 39");
  EXPECT_EQ(message([] { to_terminal(small(), {.height = 0}); }),
            "render::to_terminal: height must lie in [1, 10000]; found 0");
  EXPECT_THAT(message([] { to_terminal(Heatmap{.values = {}}); }), HasSubstr("two dimensions"));
  EXPECT_THAT(message([] { to_terminal(HeatmapGrid{.panels = {}}); }), HasSubstr("panel"));
  EXPECT_THAT(message([] { to_terminal(Histogram{}); }), HasSubstr("not both"));
}

TEST(ColorSupport, FollowsTheRules) {
  const auto with = [](const TerminalEnvironment& environment) {
    return color_support(environment);
  };
  const TerminalEnvironment full{
      .is_terminal = true, .term = "xterm-256color", .colorterm = "truecolor"};
  EXPECT_EQ(with(full), ColorSupport::truecolor);
  EXPECT_EQ(with({.is_terminal = true, .term = "xterm-256color"}), ColorSupport::ansi256);
  EXPECT_EQ(with({.is_terminal = true, .term = "xterm", .colorterm = "24bit"}),
            ColorSupport::truecolor);
  EXPECT_EQ(with({.is_terminal = true, .term = "xterm-direct"}), ColorSupport::truecolor);
  EXPECT_EQ(with({.is_terminal = true, .term = "vt100"}), ColorSupport::none);
  EXPECT_EQ(with({.is_terminal = true}), ColorSupport::none);
  EXPECT_EQ(with({.is_terminal = true, .term = "dumb", .colorterm = "truecolor"}),
            ColorSupport::none);
  EXPECT_EQ(with({.is_terminal = false, .term = "xterm-256color", .colorterm = "truecolor"}),
            ColorSupport::none);
}

TEST(ColorSupport, LetsTheUserDecide) {
  TerminalEnvironment full{.is_terminal = true, .term = "xterm-256color", .colorterm = "truecolor"};
  full.no_color = "1";
  EXPECT_EQ(color_support(full), ColorSupport::none);
  full.force_color = "1";
  EXPECT_EQ(color_support(full), ColorSupport::none);
  full.no_color = "";
  EXPECT_EQ(color_support(full), ColorSupport::truecolor);
  full.force_color = "0";
  EXPECT_EQ(color_support(full), ColorSupport::none);
  EXPECT_EQ(color_support({.is_terminal = false, .term = "dumb", .force_color = "1"}),
            ColorSupport::ansi256);
  EXPECT_EQ(color_support({.is_terminal = false, .force_color = "3"}), ColorSupport::truecolor);
  EXPECT_EQ(color_support({.is_terminal = false, .clicolor_force = "1"}), ColorSupport::ansi256);
  EXPECT_EQ(color_support({.is_terminal = false, .clicolor_force = "0"}), ColorSupport::none);
  EXPECT_EQ(name_of(ColorSupport::ansi256), "ansi256");
}

TEST(Palette, FindsTheNearestColor) {
  for (int entry = 16; entry < 256; ++entry) {
    const Color color = detail::color_of_256(entry);
    EXPECT_EQ(detail::color_of_256(detail::nearest_of_256(color)), color) << entry;
  }
  EXPECT_EQ(detail::nearest_of_256(kBlack), 16);
  EXPECT_EQ(detail::nearest_of_256(kWhite), 231);
  EXPECT_EQ(detail::nearest_of_256({.red = 128, .green = 128, .blue = 128}), 244);
}

}  // namespace
}  // namespace attention::render
