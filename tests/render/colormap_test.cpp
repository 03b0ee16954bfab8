#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/render/colormap.hpp>

namespace attention::render {
namespace {

constexpr Colormap kAll[] = {Colormap::blues, Colormap::viridis, Colormap::cividis,
                             Colormap::diverging};

TEST(Colormap, HasThePublishedEnds) {
  EXPECT_EQ(sample(Colormap::blues, 0), (Color{.red = 0xF7, .green = 0xFB, .blue = 0xFF}));
  EXPECT_EQ(sample(Colormap::blues, 1), (Color{.red = 0x08, .green = 0x30, .blue = 0x6B}));
  EXPECT_EQ(sample(Colormap::viridis, 0), (Color{.red = 0x44, .green = 0x01, .blue = 0x54}));
  EXPECT_EQ(sample(Colormap::viridis, 1), (Color{.red = 0xFD, .green = 0xE7, .blue = 0x25}));
  EXPECT_EQ(sample(Colormap::cividis, 0), (Color{.red = 0x00, .green = 0x22, .blue = 0x4E}));
  EXPECT_EQ(sample(Colormap::cividis, 1), (Color{.red = 0xFE, .green = 0xE8, .blue = 0x38}));
  EXPECT_EQ(sample(Colormap::diverging, 0), (Color{.red = 0x05, .green = 0x30, .blue = 0x61}));
  EXPECT_EQ(sample(Colormap::diverging, 0.5), (Color{.red = 0xF7, .green = 0xF7, .blue = 0xF7}));
  EXPECT_EQ(sample(Colormap::diverging, 1), (Color{.red = 0x67, .green = 0x00, .blue = 0x1F}));
}

TEST(Colormap, IsLinearBetweenAnchors) {
  // Blues has nine anchors: 1/16 lies half way between the first two.
  EXPECT_EQ(sample(Colormap::blues, 1.0 / 16), (Color{.red = 0xEB, .green = 0xF3, .blue = 0xFB}));
  for (const Colormap map : kAll) {
    const std::span<const Color> colors = anchors(map);
    for (std::size_t i = 0; i < colors.size(); ++i) {
      EXPECT_EQ(sample(map, static_cast<double>(i) / static_cast<double>(colors.size() - 1)),
                colors[i]);
    }
  }
}

TEST(Colormap, ClampsAndMarksWhatIsNotANumber) {
  for (const Colormap map : kAll) {
    EXPECT_EQ(sample(map, -0.5), sample(map, 0));
    EXPECT_EQ(sample(map, std::numeric_limits<double>::infinity()), sample(map, 1));
    EXPECT_EQ(sample(map, std::numeric_limits<double>::quiet_NaN()), kNoValue);
  }
}

TEST(Colormap, SequentialMapsChangeLightnessOneWay) {
  for (const Colormap map : {Colormap::blues, Colormap::viridis, Colormap::cividis}) {
    const double direction = map == Colormap::blues ? -1 : 1;
    double before = luminance(sample(map, 0));
    for (int i = 1; i <= 256; ++i) {
      const double now = luminance(sample(map, i / 256.0));
      // Colours have 8 bits: neighbours may be off by their rounding.
      EXPECT_GE(direction * (now - before), -5e-4) << name_of(map) << " at " << i;
      before = now;
    }
    EXPECT_GT(std::abs(before - luminance(sample(map, 0))), 0.6) << name_of(map);
  }
}

TEST(Colormap, DivergingIsLightestInTheMiddleAndEvenAboutIt) {
  for (int i = 0; i < 128; ++i) {
    const double left = luminance(sample(Colormap::diverging, i / 256.0));
    const double right = luminance(sample(Colormap::diverging, 1 - i / 256.0));
    EXPECT_LT(left, luminance(sample(Colormap::diverging, (i + 1) / 256.0)) + 1e-12);
    EXPECT_LT(right, luminance(sample(Colormap::diverging, 1 - (i + 1) / 256.0)) + 1e-12);
    EXPECT_NEAR(left, right, 0.16);
  }
}

TEST(Luminance, MatchesWcagExamples) {
  EXPECT_DOUBLE_EQ(luminance(kBlack), 0);
  EXPECT_NEAR(luminance(kWhite), 1, 1e-12);
  EXPECT_NEAR(luminance({.red = 255}), 0.2126, 1e-12);
  EXPECT_NEAR(luminance({.red = 119, .green = 119, .blue = 119}), 0.1845, 1e-4);
  EXPECT_NEAR(contrast(kBlack, kWhite), 21, 1e-9);
  EXPECT_NEAR(contrast(kWhite, {.red = 119, .green = 119, .blue = 119}), 4.478, 1e-3);
}

TEST(TextColor, IsReadableOnEveryColor) {
  for (int red = 0; red < 256; red += 15) {
    for (int green = 0; green < 256; green += 5) {
      for (int blue = 0; blue < 256; blue += 15) {
        const Color color{.red = static_cast<std::uint8_t>(red),
                          .green = static_cast<std::uint8_t>(green),
                          .blue = static_cast<std::uint8_t>(blue)};
        const Color text = text_color_on(color);
        EXPECT_TRUE(text == kBlack || text == kWhite);
        EXPECT_GE(contrast(text, color), 4.58);
      }
    }
  }
  EXPECT_EQ(text_color_on(kWhite), kBlack);
  EXPECT_EQ(text_color_on(sample(Colormap::blues, 1)), kWhite);
}

TEST(Colormap, NamesGoThereAndBack) {
  for (const Colormap map : kAll) {
    EXPECT_EQ(colormap_from_name(name_of(map)), map);
  }
  try {
    colormap_from_name("jet");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "colormap_from_name: the name must be one of blues, viridis, cividis, diverging; "
                 "found \"jet\"");
  }
}

}  // namespace
}  // namespace attention::render
