#include <algorithm>
#include <bit>
#include <numeric>
#include <string>
#include <utility>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/io/detail/bytes.hpp>
#include <attention/io/detail/elements.hpp>
#include <attention/io/detail/input_file.hpp>
#include <attention/io/detail/safetensors_header.hpp>
#include <attention/io/safetensors.hpp>

namespace attention::io {
namespace {

detail::Origin origin_of_file(std::string_view path) {
  return {.path = std::string(path), .subject = "the file"};
}

AnyTensor read_entry(const detail::ByteSource& source, const SafetensorsEntry& entry,
                     const detail::Origin& origin) {
  const auto read = [&](std::span<std::byte> out) { source.read(entry.offset, out); };
  return detail::read_elements(
      {.dtype = entry.dtype, .shape = entry.shape, .order = std::endian::little}, read, origin);
}

Safetensors read_source(const detail::ByteSource& source, std::string_view path,
                        const ReadOptions& options) {
  const detail::Origin origin = origin_of_file(path);
  SafetensorsIndex index = detail::read_safetensors_header(source, origin);
  std::int64_t bytes = 0;
  for (const SafetensorsEntry& entry : index.arrays) {
    bytes += entry.bytes;  // of the file: the tensors do not overlap
  }
  origin.check(bytes <= options.max_bytes, [&] {
    return "has " + detail::bytes_text(bytes) + " of elements, more than ReadOptions::max_bytes (" +
           std::to_string(options.max_bytes) + ")";
  });
  Safetensors result;
  result.arrays.reserve(index.arrays.size());
  for (SafetensorsEntry& entry : index.arrays) {
    AnyTensor array = read_entry(source, entry, detail::origin_of_tensor(origin, entry.name));
    result.arrays.push_back({.name = std::move(entry.name), .array = std::move(array)});
  }
  result.metadata = std::move(index.metadata);
  return result;
}

/// Returns the bytes of all elements.
std::int64_t check_arrays(std::string_view function, std::span<const NamedView> arrays) {
  std::vector<std::string_view> names;
  std::int64_t total = 0;
  for (const auto& [name, view] : arrays) {
    require(detail::is_utf8(name), function, "a name must be UTF-8 text",
            [&] { return detail::in_quotes(name); });
    require(name != detail::kMetadataKey, function,
            "the format keeps this name for the metadata: give another",
            [&] { return detail::in_quotes(name); });
    const std::int64_t bytes = detail::check_given(function, view);
    require(!__builtin_add_overflow(total, bytes, &total), function,
            "the number of bytes of all arrays must fit in 63 bits",
            [&] { return "more at " + detail::in_quotes(name); });
    names.emplace_back(name);
  }
  const auto repeated = detail::find_repeated(std::move(names));
  require(!repeated, function, "names must differ",
          [&] { return detail::in_quotes(*repeated) + " twice"; });
  return total;
}

void check_metadata(std::string_view function, std::span<const MetadataEntry> metadata) {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : metadata) {
    for (const std::string_view text : {std::string_view(key), std::string_view(value)}) {
      require(detail::is_utf8(text), function, "keys and values of metadata must be UTF-8 text",
              [&] { return detail::in_quotes(text); });
    }
    keys.emplace_back(key);
  }
  const auto repeated = detail::find_repeated(std::move(keys));
  require(!repeated, function, "keys of metadata must differ",
          [&] { return detail::in_quotes(*repeated) + " twice"; });
}

/// What can be written: a header, and the arrays behind it in their order.
struct Output {
  std::vector<std::byte> header;
  std::vector<const NamedView*> arrays;
  std::int64_t array_bytes = 0;
};

Output prepare(std::string_view function, std::span<const NamedView> arrays,
               std::span<const MetadataEntry> metadata) {
  Output output;
  output.array_bytes = check_arrays(function, arrays);
  check_metadata(function, metadata);
  output.arrays = detail::in_safetensors_order(arrays);
  output.header = detail::encode_safetensors_header(output.arrays, metadata);
  const auto length = static_cast<std::int64_t>(output.header.size()) - detail::kHeaderLengthBytes;
  require(length <= detail::kMaxHeaderBytes, function,
          "the header must have at most 100000000 bytes",
          [&] { return detail::bytes_text(length); });
  return output;
}

void write_output(const Output& output, detail::ByteWriter write) {
  write(output.header);
  for (const NamedView* const array : output.arrays) {
    detail::write_elements(array->view, std::endian::little, write);
  }
}

}  // namespace

Safetensors read_safetensors(const std::filesystem::path& path, const ReadOptions& options) {
  const detail::InputFile file(path);
  const auto read = [&](std::int64_t offset, std::span<std::byte> out) { file.read(offset, out); };
  return read_source({.size = file.size(), .read = read}, path.string(), options);
}

Safetensors parse_safetensors(std::span<const std::byte> bytes, std::string_view name,
                              const ReadOptions& options) {
  const auto read = [&](std::int64_t offset, std::span<std::byte> out) {
    std::ranges::copy(bytes.subspan(static_cast<std::size_t>(offset), out.size()), out.begin());
  };
  return read_source({.size = static_cast<std::int64_t>(bytes.size()), .read = read}, name,
                     options);
}

SafetensorsIndex read_safetensors_index(const std::filesystem::path& path) {
  const detail::InputFile file(path);
  const auto read = [&](std::int64_t offset, std::span<std::byte> out) { file.read(offset, out); };
  return detail::read_safetensors_header({.size = file.size(), .read = read},
                                         origin_of_file(path.string()));
}

struct SafetensorsFile::State {
  detail::InputFile file;
  detail::Origin origin;
  SafetensorsIndex index;
  std::vector<std::size_t> by_name;  // positions in index.arrays

  explicit State(const std::filesystem::path& path)
      : file(path), origin(origin_of_file(path.string())) {
    const auto read = [&](std::int64_t offset, std::span<std::byte> out) {
      file.read(offset, out);
    };
    index = detail::read_safetensors_header({.size = file.size(), .read = read}, origin);
    by_name.resize(index.arrays.size());
    std::iota(by_name.begin(), by_name.end(), std::size_t{0});
    std::ranges::sort(by_name, {}, [&](std::size_t i) { return name_at(i); });
  }
  std::string_view name_at(std::size_t i) const { return index.arrays[i].name; }
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : state_(std::make_unique<const State>(path)) {}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

const SafetensorsIndex& SafetensorsFile::index() const noexcept {
  return state_->index;
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = std::ranges::lower_bound(state_->by_name, name, {},
                                              [&](std::size_t i) { return state_->name_at(i); });
  const bool exists = found != state_->by_name.end() && state_->name_at(*found) == name;
  return exists ? &state_->index.arrays[*found] : nullptr;
}

AnyTensor SafetensorsFile::read(std::string_view name, const ReadOptions& options) const {
  const SafetensorsEntry* const entry = find(name);
  if (entry == nullptr) {
    state_->origin.fail("has no tensor " + detail::in_quotes(name));
  }
  const detail::Origin origin = detail::origin_of_tensor(state_->origin, name);
  origin.check(entry->bytes <= options.max_bytes, [&] {
    return "has " + detail::bytes_text(entry->bytes) +
           " of elements, more than ReadOptions::max_bytes (" + std::to_string(options.max_bytes) +
           ")";
  });
  const auto read_bytes = [&](std::int64_t offset, std::span<std::byte> out) {
    state_->file.read(offset, out);
  };
  return read_entry({.size = state_->file.size(), .read = read_bytes}, *entry, origin);
}

void write_safetensors(const std::filesystem::path& path, std::span<const NamedView> arrays,
                       std::span<const MetadataEntry> metadata) {
  const Output output = prepare("write_safetensors", arrays, metadata);
  AtomicFile file(path);
  write_output(output, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

std::vector<std::byte> serialise_safetensors(std::span<const NamedView> arrays,
                                             std::span<const MetadataEntry> metadata) {
  const Output output = prepare("serialise_safetensors", arrays, metadata);
  std::vector<std::byte> result;
  result.reserve(output.header.size() + static_cast<std::size_t>(output.array_bytes));
  write_output(output, [&](std::span<const std::byte> bytes) {
    result.insert(result.end(), bytes.begin(), bytes.end());
  });
  return result;
}

}  // namespace attention::io
