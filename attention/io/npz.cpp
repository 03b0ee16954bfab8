#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <unordered_set>
#include <utility>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/io/detail/bytes.hpp>
#include <attention/io/detail/input_file.hpp>
#include <attention/io/detail/npy_stream.hpp>
#include <attention/io/detail/zip_reader.hpp>
#include <attention/io/detail/zip_writer.hpp>
#include <attention/io/npz.hpp>

namespace attention::io {
namespace {

constexpr std::string_view kExtension = ".npy";

std::vector<NamedArray> read_npz_source(const detail::ByteSource& source, std::string_view path,
                                        const ReadOptions& options) {
  const detail::Origin origin{.path = std::string(path), .subject = "the file"};
  std::vector<NamedArray> arrays;
  std::int64_t bytes_left = options.max_bytes;
  for (const detail::ZipMember& member : detail::read_zip_directory(source, origin)) {
    const detail::Origin member_origin{.path = origin.path,
                                       .subject = "npz member " + detail::in_quotes(member.name)};
    member_origin.check(member.name.ends_with(kExtension),
                        [] { return "is not an array: its name does not end in '.npy'"; });
    AnyTensor array;
    const auto consume = [&](const detail::ByteStream& in) {
      array = detail::read_npy_stream(in, member_origin, bytes_left);
    };
    detail::read_zip_member(source, member, member_origin, consume);
    bytes_left -= array.view().element_count() * static_cast<std::int64_t>(size_of(array.dtype()));
    arrays.push_back({.name = member.name.substr(0, member.name.size() - kExtension.size()),
                      .array = std::move(array)});
  }
  return arrays;
}

void check_arrays(std::string_view function, std::span<const NamedView> arrays,
                  Compression compression) {
  constexpr std::size_t kLongest = 65535 - kExtension.size();
  std::unordered_set<std::string_view> names;
  for (const auto& [name, view] : arrays) {
    require(detail::is_utf8(name) && name.find('\0') == std::string::npos, function,
            "a name must be UTF-8 text without NUL", [&] { return detail::in_quotes(name); });
    require(name.size() <= kLongest, function, "a name must have at most 65531 bytes",
            [&] { return std::to_string(name.size()) + " bytes"; });
    require(names.insert(name).second, function, "names must differ",
            [&] { return detail::in_quotes(name) + " twice"; });
    detail::check_writable(function, view);
  }
  require(compression == Compression::stored || deflate_available(), function,
          "this build of attention has no zlib: build it with zlib, or write the arrays stored",
          [] { return std::string("Compression::deflated"); });
}

void write_npz_sink(const detail::ByteSink& sink, std::span<const NamedView> arrays,
                    Compression compression) {
  detail::ZipWriter zip(sink);
  for (const auto& [name, view] : arrays) {
    const auto produce = [&array = view](detail::ByteWriter write) {
      detail::write_npy_stream(array, write);
    };
    zip.add(name + std::string(kExtension), compression, produce);
  }
  zip.finish();
}

}  // namespace

std::vector<NamedArray> read_npz(const std::filesystem::path& path, const ReadOptions& options) {
  const detail::InputFile file(path);
  const auto read = [&](std::int64_t offset, std::span<std::byte> out) { file.read(offset, out); };
  return read_npz_source({.size = file.size(), .read = read}, path.string(), options);
}

std::vector<NamedArray> parse_npz(std::span<const std::byte> bytes, std::string_view name,
                                  const ReadOptions& options) {
  const auto read = [&](std::int64_t offset, std::span<std::byte> out) {
    std::ranges::copy(bytes.subspan(static_cast<std::size_t>(offset), out.size()), out.begin());
  };
  return read_npz_source({.size = static_cast<std::int64_t>(bytes.size()), .read = read}, name,
                         options);
}

std::vector<NamedArray> read_arrays(const std::filesystem::path& path, const ReadOptions& options) {
  constexpr std::string_view kZipStart = "PK";
  std::array<char, kZipStart.size()> start = {};
  {
    const detail::InputFile file(path);
    if (file.size() >= static_cast<std::int64_t>(start.size())) {
      file.read(0, std::as_writable_bytes(std::span(start)));
    }
  }
  if (std::string_view(start.data(), start.size()) == kZipStart) {
    return read_npz(path, options);
  }
  return {{.name = path.stem().string(), .array = read_npy(path, options)}};
}

void write_npz(const std::filesystem::path& path, std::span<const NamedView> arrays,
               Compression compression) {
  check_arrays("write_npz", arrays, compression);
  AtomicFile file(path);
  const auto write = [&](std::span<const std::byte> bytes) { file.write(bytes); };
  const auto overwrite = [&](std::int64_t offset, std::span<const std::byte> bytes) {
    file.overwrite(offset, bytes);
  };
  write_npz_sink({.write = write, .overwrite = overwrite}, arrays, compression);
  file.commit();
}

std::vector<std::byte> serialise_npz(std::span<const NamedView> arrays, Compression compression) {
  check_arrays("serialise_npz", arrays, compression);
  std::vector<std::byte> result;
  const auto write = [&](std::span<const std::byte> bytes) {
    result.insert(result.end(), bytes.begin(), bytes.end());
  };
  const auto overwrite = [&](std::int64_t offset, std::span<const std::byte> bytes) {
    std::ranges::copy(bytes, result.begin() + offset);
  };
  write_npz_sink({.write = write, .overwrite = overwrite}, arrays, compression);
  return result;
}

}  // namespace attention::io
