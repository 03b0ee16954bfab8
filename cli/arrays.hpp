#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attention/io/npz.hpp>

namespace attention::cli {

/// The arrays that "FILE" or "FILE:NAME" names: those of an npz file (or the one of that name), or
/// the one of an npy file. Throws FileError when the file cannot be read, or has no such array (the
/// message lists what it has).
std::vector<io::NamedArray> read_arrays(const std::string& spec);

/// The single array that "FILE" or "FILE:NAME" names. Throws FileError also when the file has
/// several.
AnyTensor read_one_array(const std::string& spec);

/// Text separated by commas; "\," stands for a comma that does not separate.
std::vector<std::string> split_labels(std::string_view text);

}  // namespace attention::cli
