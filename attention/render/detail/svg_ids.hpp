#pragma once

#include <string>
#include <string_view>

/// Private to the room.
namespace attention::render::detail {

/// The SVG document with its ids numbered by their first appearance, after a prefix made from the
/// document's content. cairo numbers surfaces and images by a counter of the process, so that the
/// same figure would differ from call to call; and its other ids are the same in all documents, so
/// that two of them could not stand in one page.
std::string with_ids_of_content(std::string_view svg);

}  // namespace attention::render::detail
