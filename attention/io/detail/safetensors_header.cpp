#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <utility>

#include <attention/io/detail/elements.hpp>
#include <attention/io/detail/json.hpp>
#include <attention/io/detail/safetensors_header.hpp>

namespace attention::io::detail {
namespace {

struct ElementCode {
  std::string_view code;
  DType dtype;
};

/// The format's element types, without those that attention does not have, in rising alignment. Its
/// own library sorts by this order, from the last to the first.
constexpr std::array kElementCodes = {
    ElementCode{.code = "BOOL", .dtype = DType::boolean},
    ElementCode{.code = "U8", .dtype = DType::uint8},
    ElementCode{.code = "I8", .dtype = DType::int8},
    ElementCode{.code = "I16", .dtype = DType::int16},
    ElementCode{.code = "U16", .dtype = DType::uint16},
    ElementCode{.code = "F16", .dtype = DType::float16},
    ElementCode{.code = "BF16", .dtype = DType::bfloat16},
    ElementCode{.code = "I32", .dtype = DType::int32},
    ElementCode{.code = "U32", .dtype = DType::uint32},
    ElementCode{.code = "F32", .dtype = DType::float32},
    ElementCode{.code = "F64", .dtype = DType::float64},
    ElementCode{.code = "I64", .dtype = DType::int64},
    ElementCode{.code = "U64", .dtype = DType::uint64},
};

std::size_t position_of(DType dtype) {
  const auto* const found = std::ranges::find(kElementCodes, dtype, &ElementCode::dtype);
  return static_cast<std::size_t>(found - kElementCodes.begin());
}

/// Bytes [begin, end) of the data, which begin after the header.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

std::string range_text(const Range& range) {
  return "data_offsets [" + std::to_string(range.begin) + ", " + std::to_string(range.end) + ")";
}

/// Reads the header's JSON. The offsets of the result count from the start of the data.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const Origin& origin)
      : json_(text, origin), origin_(origin) {}

  SafetensorsIndex parse() {
    bool has_metadata = false;
    json_.read_object([&](std::string& key) {
      if (key != kMetadataKey) {
        read_tensor(std::move(key));
        return;
      }
      check_once(origin_, !std::exchange(has_metadata, true), key);
      read_metadata();
    });
    json_.read_end();
    check_names();
    return std::move(index_);
  }

 private:
  static void check_once(const Origin& origin, bool first, std::string_view key) {
    origin.check(first, [&] { return "has the key " + in_quotes(key) + " twice"; });
  }

  void read_metadata() {
    json_.read_object([&](std::string& key) {
      std::string value = json_.read_string();
      index_.metadata.push_back({.key = std::move(key), .value = std::move(value)});
    });
  }

  void read_tensor(std::string name) {
    const Origin origin = origin_of_tensor(origin_, name);
    std::optional<DType> dtype;
    std::optional<Shape> shape;
    std::optional<Range> range;
    json_.read_object([&](const std::string& key) {
      if (key == "dtype") {
        check_once(origin, !dtype, key);
        dtype = read_dtype(origin);
      } else if (key == "shape") {
        check_once(origin, !shape, key);
        shape = read_shape(origin);
      } else if (key == "data_offsets") {
        check_once(origin, !range, key);
        range = read_range(origin);
      } else {
        origin.fail("has the key " + in_quotes(key) + ", which safetensors does not have");
      }
    });
    const DType type = given(dtype, "dtype", origin);
    const Shape& extents = given(shape, "shape", origin);
    const Range& place = given(range, "data_offsets", origin);
    index_.arrays.push_back({.name = std::move(name),
                             .dtype = type,
                             .shape = extents,
                             .offset = place.begin,
                             .bytes = checked_bytes(type, extents, place, origin)});
  }

  template <class T>
  static const T& given(const std::optional<T>& value, std::string_view key, const Origin& origin) {
    if (!value) {
      origin.fail("has no " + std::string(key));
    }
    return *value;
  }

  DType read_dtype(const Origin& origin) {
    const std::string code = json_.read_string();
    const auto* const found = std::ranges::find(kElementCodes, code, &ElementCode::code);
    origin.check(found != kElementCodes.end(), [&] {
      return "has the element type " + in_quotes(code) + ", which attention does not read";
    });
    return found->dtype;
  }

  Shape read_shape(const Origin& origin) {
    Shape shape;
    json_.read_array([&] {
      origin.check(shape.rank() < kMaxRank, [] {
        return "has a shape of more than " + std::to_string(kMaxRank) +
               " dimensions, which attention does not read";
      });
      shape.push_back(json_.read_integer());
    });
    return shape;
  }

  Range read_range(const Origin& origin) {
    const auto not_two = [] { return "has data_offsets that are not two numbers"; };
    std::array<std::int64_t, 2> offsets = {};
    std::size_t count = 0;
    json_.read_array([&] {
      origin.check(count < offsets.size(), not_two);
      offsets[count++] = json_.read_integer();
    });
    origin.check(count == offsets.size(), not_two);
    return {.begin = offsets[0], .end = offsets[1]};
  }

  static std::int64_t checked_bytes(DType dtype, const Shape& shape, const Range& range,
                                    const Origin& origin) {
    const std::optional<std::int64_t> bytes = element_bytes(dtype, shape);
    if (!bytes) {
      origin.fail("has the shape " + to_string(shape) + ", whose size does not fit in 63 bits");
    }
    origin.check(range.begin <= range.end,
                 [&] { return "has the " + range_text(range) + ", which end before they begin"; });
    origin.check(range.end - range.begin == *bytes, [&] {
      return "has the " + range_text(range) + ", " + bytes_text(range.end - range.begin) +
             ", but its " + std::string(name_of(dtype)) + " elements of the shape " +
             to_string(shape) + " take " + std::to_string(*bytes);
    });
    return *bytes;
  }

  void check_names() const {
    std::vector<std::string_view> names;
    names.reserve(index_.arrays.size());
    for (const SafetensorsEntry& entry : index_.arrays) {
      names.emplace_back(entry.name);
    }
    if (const auto name = find_repeated(std::move(names))) {
      origin_.fail("has the tensor " + in_quotes(*name) + " twice");
    }
    std::vector<std::string_view> keys;
    keys.reserve(index_.metadata.size());
    for (const MetadataEntry& entry : index_.metadata) {
      keys.emplace_back(entry.key);
    }
    if (const auto key = find_repeated(std::move(keys))) {
      origin_.fail("has metadata with the key " + in_quotes(*key) + " twice");
    }
  }

  JsonReader json_;
  const Origin& origin_;
  SafetensorsIndex index_;
};

/// In the order of their offsets, each tensor must begin where the one before it ends, and the last
/// must end with the file: no byte belongs to two tensors or to none.
void check_layout(const std::vector<SafetensorsEntry>& arrays, std::int64_t data_bytes,
                  const Origin& origin) {
  std::vector<const SafetensorsEntry*> order;
  order.reserve(arrays.size());
  for (const SafetensorsEntry& entry : arrays) {
    const Range range{.begin = entry.offset, .end = entry.offset + entry.bytes};
    if (range.end > data_bytes) {
      origin_of_tensor(origin, entry.name)
          .fail("has the " + range_text(range) + ", but the file has " + bytes_text(data_bytes) +
                " of data: it is truncated or malformed");
    }
    order.push_back(&entry);
  }
  const auto place = [](const SafetensorsEntry* entry) {
    return std::tuple(entry->offset, entry->bytes, entry);
  };
  std::ranges::sort(order, {}, place);
  std::int64_t end = 0;
  for (const SafetensorsEntry* const entry : order) {
    if (entry->offset != end) {
      const std::string_view fault =
          entry->offset < end ? "another tensor ends at " : "no tensor has the bytes from ";
      origin_of_tensor(origin, entry->name)
          .fail("begins at byte " + std::to_string(entry->offset) + " of the data, but " +
                std::string(fault) + std::to_string(end));
    }
    end += entry->bytes;
  }
  origin.check(end == data_bytes,
               [&] { return "has " + bytes_text(data_bytes - end) + " after its last tensor"; });
}

}  // namespace

Origin origin_of_tensor(const Origin& origin, std::string_view name) {
  return {.path = origin.path, .subject = "tensor " + in_quotes(name)};
}

SafetensorsIndex read_safetensors_header(const ByteSource& source, const Origin& origin) {
  origin.check(source.size >= kHeaderLengthBytes, [&] {
    return "is not a safetensors file: it has " + bytes_text(source.size) +
           ", fewer than the length of a header takes";
  });
  std::array<std::byte, kHeaderLengthBytes> start = {};
  source.read(0, start);
  const auto promised = load_little_endian<std::uint64_t>(start.data());
  origin.check(promised <= std::uint64_t{kMaxHeaderBytes}, [&] {
    return "is not a safetensors file: it would have a header of " + std::to_string(promised) +
           " bytes, and the format allows " + std::to_string(kMaxHeaderBytes);
  });
  const auto length = static_cast<std::int64_t>(promised);
  const std::int64_t data_bytes = source.size - kHeaderLengthBytes - length;
  origin.check(data_bytes >= 0, [&] {
    return "is truncated inside its header: it promises " + bytes_text(length) + " of header, " +
           std::to_string(source.size - kHeaderLengthBytes) + " are there";
  });
  std::string text(static_cast<std::size_t>(length), '\0');
  source.read(kHeaderLengthBytes, std::as_writable_bytes(std::span(text)));
  origin.check(text.starts_with('{'), [] { return "has a header that does not begin with '{'"; });
  origin.check(is_utf8(text), [] { return "has a header that is not UTF-8"; });

  SafetensorsIndex index = HeaderParser(text, origin).parse();
  check_layout(index.arrays, data_bytes, origin);
  for (SafetensorsEntry& entry : index.arrays) {
    entry.offset += kHeaderLengthBytes + length;
  }
  return index;
}

std::vector<const NamedView*> in_safetensors_order(std::span<const NamedView> arrays) {
  std::vector<const NamedView*> order;
  order.reserve(arrays.size());
  for (const NamedView& array : arrays) {
    order.push_back(&array);
  }
  std::ranges::sort(order, [](const NamedView* a, const NamedView* b) {
    const std::size_t type_a = position_of(a->view.dtype());
    const std::size_t type_b = position_of(b->view.dtype());
    return type_a != type_b ? type_a > type_b : a->name < b->name;
  });
  return order;
}

std::vector<std::byte> encode_safetensors_header(std::span<const NamedView* const> arrays,
                                                 std::span<const MetadataEntry> metadata) {
  constexpr std::size_t kAlignment = 8;
  std::string json;
  char separator = '{';
  const auto append_key = [&json, &separator](std::string_view key) {
    json += std::exchange(separator, ',');
    append_json_string(json, key);
    json += ':';
  };
  if (!metadata.empty()) {
    append_key(kMetadataKey);
    separator = '{';
    for (const auto& [key, value] : metadata) {
      append_key(key);
      append_json_string(json, value);
    }
    json += '}';
  }
  std::int64_t offset = 0;
  for (const NamedView* const array : arrays) {
    const AnyView& view = array->view;
    append_key(array->name);
    json.append(R"({"dtype":")").append(kElementCodes[position_of(view.dtype())].code);
    json.append(R"(","shape":[)");
    for (int dim = 0; dim < view.rank(); ++dim) {
      json.append(dim > 0 ? "," : "").append(std::to_string(view.size(dim)));
    }
    json.append(R"(],"data_offsets":[)").append(std::to_string(offset)).append(",");
    offset += view.element_count() * static_cast<std::int64_t>(size_of(view.dtype()));
    json.append(std::to_string(offset)).append("]}");
  }
  json.append(separator == '{' ? "{}" : "}");
  json.resize((json.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');

  std::vector<std::byte> bytes;
  bytes.reserve(kHeaderLengthBytes + json.size());
  append_little_endian(bytes, std::uint64_t{json.size()});
  append_text(bytes, json);
  return bytes;
}

std::optional<std::string_view> find_repeated(std::vector<std::string_view> texts) {
  // Sorted rather than hashed: nobody can choose names that make it slow.
  std::ranges::sort(texts);
  const auto found = std::ranges::adjacent_find(texts);
  return found != texts.end() ? std::optional(*found) : std::nullopt;
}

}  // namespace attention::io::detail
