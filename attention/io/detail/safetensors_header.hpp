#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <attention/io/detail/bytes.hpp>
#include <attention/io/safetensors.hpp>

namespace attention::io::detail {

/// The key of the header that names no tensor.
inline constexpr std::string_view kMetadataKey = "__metadata__";
/// The bytes before the header, which hold its length.
inline constexpr std::int64_t kHeaderLengthBytes = 8;
/// The longest header that the format's own library reads and writes.
inline constexpr std::int64_t kMaxHeaderBytes = 100'000'000;

/// What a FileError about one tensor is about.
Origin origin_of_tensor(const Origin& origin, std::string_view name);

/// Reads the header of the file that fills the whole source, and checks that the tensors cover what
/// follows it exactly. Allocates a few times the size of the header, which lies inside of the
/// source. Throws FileError about `origin`, or about the tensor.
SafetensorsIndex read_safetensors_header(const ByteSource& source, const Origin& origin);

/// The arrays in the order in which the format's own library writes them.
std::vector<const NamedView*> in_safetensors_order(std::span<const NamedView> arrays);

/// The start of a file up to the elements, which follow in the order of `arrays`: the header's
/// length, and the header, padded with spaces to a multiple of 8 bytes. For checked arrays.
std::vector<std::byte> encode_safetensors_header(std::span<const NamedView* const> arrays,
                                                 std::span<const MetadataEntry> metadata);

/// A text that is there more than once; nothing when there is none.
std::optional<std::string_view> find_repeated(std::vector<std::string_view> texts);

}  // namespace attention::io::detail
