#pragma once

#include <string>
#include <string_view>

#include <attention/core/export.hpp>

/// Private to the room; exported because the component `render` uses it across the library's
/// border.
namespace attention::render::detail {

/// The code points of UTF-8 text; each byte that is not part of well-formed UTF-8 gives U+FFFD.
ATTENTION_API std::u32string decode(std::string_view text);

ATTENTION_API std::string encode(std::u32string_view points);

/// One line of well-formed UTF-8 that is harmless wherever it is shown: line breaks and tabs become
/// spaces; other control characters, and those that turn the direction of text, become U+FFFD.
ATTENTION_API std::string clean(std::string_view text);

/// Columns that a terminal gives the text: 0 for combining and zero-width code points, 2 for East
/// Asian wide ones and emoji, 1 for all others. By code point: sequences that a terminal joins into
/// one sign count as their parts.
ATTENTION_API int display_width(std::string_view text);

/// The text with '?' for every code point outside of ASCII.
ATTENTION_API std::string to_ascii(std::string_view text);

/// At most `columns` columns: the whole text, or its beginning followed by `ellipsis`.
ATTENTION_API std::string shortened(std::string_view text, int columns, std::string_view ellipsis);

}  // namespace attention::render::detail
