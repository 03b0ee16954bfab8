#include "support.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

#include <attention/core/error.hpp>

namespace attention::io::test {

std::filesystem::path data_file(std::string_view name) {
  return std::filesystem::path(ATTENTION_TEST_DATA) / name;
}

Bytes read_bytes(const std::filesystem::path& path) {
  return to_bytes(::attention::test::read_text(path));
}

void write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

Bytes to_bytes(std::string_view text) {
  const auto raw = std::as_bytes(std::span(text));
  return {raw.begin(), raw.end()};
}

std::vector<std::byte> changes_of(std::byte byte) {
  const auto value = std::to_integer<unsigned>(byte);
  std::vector<std::byte> changes = {std::byte{0}, std::byte{0xFF},
                                    static_cast<std::byte>((value + 1U) & 0xFFU),
                                    static_cast<std::byte>((value - 1U) & 0xFFU)};
  for (unsigned bit = 0; bit < 8; ++bit) {
    changes.push_back(static_cast<std::byte>(value ^ (1U << bit)));
  }
  return changes;
}

Bytes npy_file(std::string_view dictionary, std::string_view elements, int major) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(major);
  text += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    text += static_cast<char>((dictionary.size() >> (8 * i)) & 0xFFU);
  }
  return to_bytes(text.append(dictionary).append(elements));
}

Bytes safetensors_file(std::string_view header, std::string_view data) {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    text += static_cast<char>((header.size() >> (8 * i)) & 0xFFU);
  }
  return to_bytes(text.append(header).append(data));
}

std::string safetensors_header(std::string_view dtype, std::string_view shape,
                               std::string_view data_offsets) {
  std::string text = R"({"q":{"dtype":)";
  text.append(dtype).append(R"(,"shape":)").append(shape);
  return text.append(R"(,"data_offsets":)").append(data_offsets).append("}}");
}

double expected_value(DType dtype, std::int64_t i) {
  const auto value = static_cast<double>(i);
  if (is_floating(dtype)) {
    return (value - 3.0) / 2.0;
  }
  if (dtype == DType::boolean) {
    return i % 3 == 0 ? 1.0 : 0.0;
  }
  return name_of(dtype).starts_with("u") ? 3.0 * value : value - 3.0;
}

AnyTensor expected_array(DType dtype, const Shape& shape) {
  return visit(dtype, [&]<class T>() -> AnyTensor {
    Tensor<T> tensor(shape);
    for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
      tensor.data()[i] = element_cast<T>(expected_value(dtype, i));
    }
    return tensor;
  });
}

bool same_array(const AnyView& a, const AnyView& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) {
    return false;
  }
  const std::size_t size = size_of(a.dtype());
  bool same = true;
  for_each_offset(
      a.shape(),
      [&](std::int64_t offset_a, std::int64_t offset_b) {
        const auto step = static_cast<std::int64_t>(size);
        same = same &&
               std::memcmp(static_cast<const std::byte*>(a.data()) + offset_a * step,
                           static_cast<const std::byte*>(b.data()) + offset_b * step, size) == 0;
      },
      a.strides(), b.strides());
  return same;
}

std::vector<NamedView> views_of(const std::vector<NamedArray>& arrays) {
  std::vector<NamedView> views;
  views.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    views.push_back({.name = name, .view = array});
  }
  return views;
}

bool same_arrays(const std::vector<NamedArray>& a, const std::vector<NamedArray>& b) {
  return std::ranges::equal(a, b, [](const NamedArray& one, const NamedArray& other) {
    return one.name == other.name && same_array(one.array, other.array);
  });
}

std::string file_error_of(FunctionRef<void()> body) {
  try {
    body();
  } catch (const FileError& error) {
    return error.what();
  }
  return {};
}

}  // namespace attention::io::test
