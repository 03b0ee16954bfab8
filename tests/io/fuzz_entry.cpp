#include "fuzz_entry.hpp"

#include <stdexcept>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/io/npz.hpp>

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
  std::vector<NamedView> views;
  views.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    views.push_back({.name = name, .view = array});
  }
  const std::vector<NamedArray> again = parse_npz(serialise_npz(views), "again.npz");
  check(again.size() == arrays.size(), "no array may get lost");
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    check(again[i].name == arrays[i].name && same_array(again[i].array, arrays[i].array),
          "an array must come back as it was written");
  }
}

}  // namespace attention::io::test
