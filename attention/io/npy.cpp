#include <cstring>
#include <string>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/io/detail/bytes.hpp>
#include <attention/io/detail/input_file.hpp>
#include <attention/io/detail/npy_stream.hpp>
#include <attention/io/npy.hpp>

namespace attention::io {

AnyTensor read_npy(const std::filesystem::path& path, const ReadOptions& options) {
  const detail::InputFile file(path);
  std::int64_t at = 0;
  const auto read = [&](std::span<std::byte> out) {
    file.read(at, out);
    at += static_cast<std::int64_t>(out.size());
  };
  return detail::read_npy_stream({.size = file.size(), .read = read},
                                 {.path = path.string(), .subject = "the file"}, options.max_bytes);
}

AnyTensor parse_npy(std::span<const std::byte> bytes, std::string_view name,
                    const ReadOptions& options) {
  std::size_t at = 0;
  const auto read = [&](std::span<std::byte> out) {
    if (!out.empty()) {
      std::memcpy(out.data(), bytes.data() + at, out.size());
      at += out.size();
    }
  };
  return detail::read_npy_stream({.size = static_cast<std::int64_t>(bytes.size()), .read = read},
                                 {.path = std::string(name), .subject = "the file"},
                                 options.max_bytes);
}

void write_npy(const std::filesystem::path& path, const AnyView& array) {
  detail::check_writable("write_npy", array);
  AtomicFile file(path);
  const auto write = [&](std::span<const std::byte> bytes) { file.write(bytes); };
  detail::write_npy_stream(array, write);
  file.commit();
}

std::vector<std::byte> serialise_npy(const AnyView& array) {
  detail::check_writable("serialise_npy", array);
  std::vector<std::byte> result;
  result.reserve(static_cast<std::size_t>(detail::npy_stream_size(array)));
  const auto write = [&](std::span<const std::byte> bytes) {
    result.insert(result.end(), bytes.begin(), bytes.end());
  };
  detail::write_npy_stream(array, write);
  return result;
}

}  // namespace attention::io
