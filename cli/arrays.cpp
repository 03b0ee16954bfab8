#include "cli/arrays.hpp"

#include <algorithm>
#include <filesystem>

#include <attention/core/error.hpp>

namespace attention::cli {
namespace {

std::string names_of(const std::vector<io::NamedArray>& arrays) {
  std::string names;
  for (const io::NamedArray& entry : arrays) {
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  return names;
}

}  // namespace

std::vector<io::NamedArray> read_arrays(const std::string& spec) {
  // A file of that very name wins; otherwise what follows the last colon is the name of an array.
  const std::size_t colon = spec.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(spec)) {
    return io::read_arrays(spec);
  }
  const std::string path = spec.substr(0, colon);
  const std::string name = spec.substr(colon + 1);
  std::vector<io::NamedArray> arrays = io::read_arrays(path);
  const auto found =
      std::ranges::find_if(arrays, [&](const io::NamedArray& a) { return a.name == name; });
  if (found == arrays.end()) {
    throw FileError(path, "there is no array '" + name + "' in it; it has: " + names_of(arrays));
  }
  return {*found};
}

AnyTensor read_one_array(const std::string& spec) {
  std::vector<io::NamedArray> arrays = read_arrays(spec);
  if (arrays.size() != 1) {
    throw FileError(
        spec, "one array is wanted; name it as FILE:NAME, with a name from: " + names_of(arrays));
  }
  return std::move(arrays.front().array);
}

std::vector<std::string> split_labels(std::string_view text) {
  std::vector<std::string> labels(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',') {
      labels.back() += text[++i];
    } else if (text[i] == ',') {
      labels.emplace_back();
    } else {
      labels.back() += text[i];
    }
  }
  return labels;
}

}  // namespace attention::cli
