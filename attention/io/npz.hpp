#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/io/compression.hpp>
#include <attention/io/named_array.hpp>
#include <attention/io/npy.hpp>

namespace attention::io {

/// Reads the arrays of an npz file, as numpy.savez and numpy.savez_compressed write them, in the
/// order of its directory, under the members' names without ".npy".
///
/// The file is a zip archive whose members are npy files, stored or deflated; see read_npy for
/// these. Folders in it are ignored; any other member that is not named *.npy is an error, so that
/// nothing is left out silently. Names are UTF-8.
///
/// Throws FileError with the path and the reason, about the member where there is one. Besides what
/// read_npy rejects: a member whose CRC-32, sizes or local header do not agree with the archive's
/// directory; members that overlap, come twice or are encrypted; archives on several disks or with
/// bytes before or after them; and deflated members where deflate_available() is false.
///
/// Source: PKWARE, APPNOTE.TXT 6.3.10 (zip); RFC 1951 (deflate).
/// See also: read_npy, read_arrays.
ATTENTION_API std::vector<NamedArray> read_npz(const std::filesystem::path& path,
                                               const ReadOptions& options = {});

/// As read_npz, from memory; `name` stands for the path in messages.
ATTENTION_API std::vector<NamedArray> parse_npz(std::span<const std::byte> bytes,
                                                std::string_view name,
                                                const ReadOptions& options = {});

/// Reads an npy or an npz file, told apart by how it begins. An npy file gives one array, under the
/// file's name without its folder and extension.
///
/// Throws FileError as read_npy and read_npz do.
ATTENTION_API std::vector<NamedArray> read_arrays(const std::filesystem::path& path,
                                                  const ReadOptions& options = {});

/// Writes arrays of any strides as an npz file: stored, byte for byte what numpy.savez writes;
/// deflated, an archive like numpy.savez_compressed's. The file appears whole or not at all, as by
/// AtomicFile.
///
/// Throws Error, before anything is written, for a null view, for bfloat16, and for names that are
/// not UTF-8, hold a NUL, have more than 65531 bytes or come twice; and for deflated where
/// deflate_available() is false. Throws FileError with the step that failed and the system's
/// reason.
ATTENTION_API void write_npz(const std::filesystem::path& path, std::span<const NamedView> arrays,
                             Compression compression = Compression::stored);

/// The bytes that write_npz writes.
ATTENTION_API std::vector<std::byte> serialise_npz(std::span<const NamedView> arrays,
                                                   Compression compression = Compression::stored);

}  // namespace attention::io
