#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <attention/render/detail/text.hpp>
#include <attention/render/terminal.hpp>

/// Private to the room.
namespace attention::render::detail {

std::string spaces(int count);

/// Collects lines of text that is harmless, of the options' charset, and no wider than asked for.
class TerminalText {
 public:
  /// Throws Error for options out of their range.
  explicit TerminalText(const TerminalOptions& options);

  const TerminalOptions& options() const noexcept { return options_; }
  bool is_unicode() const noexcept { return options_.charset == Charset::unicode; }
  bool has_color() const noexcept { return options_.color != ColorSupport::none; }

  /// The text, shortened to `columns`; filled up with spaces on the right, the left or both sides.
  std::string fitted(std::string_view text, int columns) const;
  std::string left(std::string_view text, int columns) const;
  std::string right(std::string_view text, int columns) const;
  std::string centred(std::string_view text, int columns) const;
  /// The columns that the whole text takes when written here.
  int width_of(std::string_view text) const;

  /// The sign for a share in [0, 1]; "?" for NaN.
  std::string shade(double share) const;
  /// From the sign of 0 to the sign of 1.
  std::string shades() const;

  /// Ends a line; the spaces at its end are left out.
  void line(std::string_view text);
  std::string take() { return std::move(text_); }

 private:
  TerminalOptions options_;
  std::string text_;
};

}  // namespace attention::render::detail
