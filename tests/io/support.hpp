#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/parallel.hpp>
#include <attention/core/tensor.hpp>
#include <attention/io/named_array.hpp>

#include "tests/support/files.hpp"

namespace attention::io::test {

using Bytes = std::vector<std::byte>;

using ::attention::test::FileSizeLimit;
using ::attention::test::TemporaryFolder;

/// A file made by make_test_data.py.
std::filesystem::path data_file(std::string_view name);

Bytes read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes);
Bytes to_bytes(std::string_view text);

/// What a byte may become by damage: each bit turned over, one more and less, 0 and 255.
std::vector<std::byte> changes_of(std::byte byte);

/// An npy file put together by hand: the given dictionary, padded with nothing, and then elements.
Bytes npy_file(std::string_view dictionary, std::string_view elements, int major = 1);

/// A safetensors file put together by hand: the given header, padded with nothing, and then data.
Bytes safetensors_file(std::string_view header, std::string_view data);

/// The header of one tensor, "q": a JSON text for each of its three values.
std::string safetensors_header(std::string_view dtype, std::string_view shape,
                               std::string_view data_offsets);

/// Element i of the arrays of make_test_data.py.
double expected_value(DType dtype, std::int64_t i);
/// The array of make_test_data.py with this type and shape.
AnyTensor expected_array(DType dtype, const Shape& shape);

/// Equal types, shapes and elements, bit by bit, whatever the strides.
bool same_array(const AnyView& a, const AnyView& b);

/// Views of the arrays, under their names.
std::vector<NamedView> views_of(const std::vector<NamedArray>& arrays);
/// Equal names and arrays, in the same order.
bool same_arrays(const std::vector<NamedArray>& a, const std::vector<NamedArray>& b);

/// Runs `body` and returns the message of the FileError that it throws, "" when it throws none.
/// Other exceptions pass.
std::string file_error_of(FunctionRef<void()> body);

}  // namespace attention::io::test
