#include "fuzz_entry.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/io/npz.hpp>
#include <attention/io/safetensors.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

/// Enough for any input, and little enough that none can exhaust the memory.
constexpr ReadOptions kLimits{.max_bytes = std::int64_t{1} << 26};

void check(bool holds, const char* rule) {
  if (!holds) {
    throw std::logic_error(rule);
  }
}

}  // namespace

void try_npy(std::span<const std::byte> bytes) {
  AnyTensor array;
  try {
    array = parse_npy(bytes, "fuzz.npy", kLimits);
  } catch (const FileError&) {
    return;
  }
  check(same_array(parse_npy(serialise_npy(array), "again.npy"), array),
        "an array must come back as it was written");
}

void try_npz(std::span<const std::byte> bytes) {
  std::vector<NamedArray> arrays;
  try {
    arrays = parse_npz(bytes, "fuzz.npz", kLimits);
  } catch (const FileError&) {
    return;
  }
  check(same_arrays(parse_npz(serialise_npz(views_of(arrays)), "again.npz"), arrays),
        "the arrays must come back as they were written");
}

void try_safetensors(std::span<const std::byte> bytes) {
  Safetensors read;
  try {
    read = parse_safetensors(bytes, "fuzz.safetensors", kLimits);
  } catch (const FileError&) {
    return;
  }
  const std::vector<std::byte> written =
      serialise_safetensors(views_of(read.arrays), read.metadata);
  Safetensors again = parse_safetensors(written, "again.safetensors");
  // What is written comes in the format's order, which need not be that of the input.
  check(serialise_safetensors(views_of(again.arrays), again.metadata) == written,
        "what was written must be read as it is");
  const auto by_name = [](const NamedArray& array) -> std::string_view { return array.name; };
  std::ranges::sort(read.arrays, {}, by_name);
  std::ranges::sort(again.arrays, {}, by_name);
  check(same_arrays(again.arrays, read.arrays), "the arrays must come back as they were written");
  const auto same_entry = [](const MetadataEntry& a, const MetadataEntry& b) {
    return a.key == b.key && a.value == b.value;
  };
  check(std::ranges::equal(again.metadata, read.metadata, same_entry),
        "the metadata must come back as they were written");
}

}  // namespace attention::io::test
