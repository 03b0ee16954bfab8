#pragma once

#include <string>

#include <attention/core/export.hpp>
#include <attention/render/figure.hpp>

namespace attention::render {

/// The colours that a terminal can show.
enum class ColorSupport {
  none,       ///< Plain text, no escape sequences.
  ansi256,    ///< The 256 colours of xterm.
  truecolor,  ///< 24-bit colours.
};

/// "none", "ansi256", "truecolor".
ATTENTION_API std::string_view name_of(ColorSupport support) noexcept;

/// What the process knows of the terminal that it writes to. The library never looks itself: the
/// caller fills this in. An environment variable that is not set is an empty string.
struct TerminalEnvironment {
  bool is_terminal = false;
  std::string term = {};            ///< TERM
  std::string colorterm = {};       ///< COLORTERM
  std::string no_color = {};        ///< NO_COLOR
  std::string force_color = {};     ///< FORCE_COLOR
  std::string clicolor_force = {};  ///< CLICOLOR_FORCE
};

/// The colours to use there, by the first rule that applies:
/// NO_COLOR set: none. FORCE_COLOR or CLICOLOR_FORCE set, and not to "0" or "false": what COLORTERM
/// and TERM say, ansi256 at least, truecolor for a FORCE_COLOR of "3"; FORCE_COLOR set to one of
/// these: none. Not a terminal, or TERM "dumb": none. COLORTERM "truecolor" or "24bit", or a TERM
/// that ends in "-direct": truecolor. A TERM with "256color" in it: ansi256. Otherwise none.
///
/// A pure function. Sources: no-color.org, force-color.org, bixense.com/clicolors.
ATTENTION_API ColorSupport color_support(const TerminalEnvironment& environment);

enum class Charset { ascii, unicode };

struct TerminalOptions {
  ColorSupport color = ColorSupport::none;
  Charset charset = Charset::unicode;
  /// Columns of the terminal, 40 to 1000. No line is wider.
  int width = 80;
  /// Rows of cells at most, 1 to 10000.
  int height = 100;
};

/// The figure as lines of text, each ended by a line break.
///
/// Values stand in the cells if that fits the width (and `annotation` is not `never`); otherwise a
/// cell is two columns of colour. A matrix that is too wide or too high even so is shown by the
/// means of blocks of cells, and a line says so. Without colour, shades say the size of a value:
/// " .:-=+*#%@", or " ░▒▓█" in Unicode, and "?" for a NaN. Labels too wide are shortened. Text is
/// aligned by the widths of its code points (East Asian wide ones count 2, combining ones 0).
///
/// Throws Error when the figure breaks a rule of figure.hpp, or an option its range.
ATTENTION_API std::string to_terminal(const Heatmap& figure, const TerminalOptions& options = {});

/// The panels below each other, each as a heatmap under its title.
ATTENTION_API std::string to_terminal(const HeatmapGrid& figure,
                                      const TerminalOptions& options = {});

/// A line for each bin: its interval, its count and a bar; markers stand beside the bin that they
/// fall into, or below.
ATTENTION_API std::string to_terminal(const Histogram& figure, const TerminalOptions& options = {});

}  // namespace attention::render
