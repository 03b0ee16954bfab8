#include "zip_archive.hpp"

#include <algorithm>
#include <utility>

#include <attention/io/npz.hpp>

namespace attention::io::test {

ZipArchive::ZipArchive(Bytes bytes) : bytes_(std::move(bytes)) {
  directory_ = static_cast<std::size_t>(get(Record::end, end::kDirectoryOffset));
}

std::uint64_t ZipArchive::get(Record record, Field field) const {
  std::uint64_t value = 0;
  for (std::size_t i = field.size; i-- > 0;) {
    value =
        (value << 8) | static_cast<std::uint64_t>(bytes_.at(start_of(record) + field.offset + i));
  }
  return value;
}

void ZipArchive::set(Record record, Field field, std::uint64_t value) {
  for (std::size_t i = 0; i < field.size; ++i) {
    bytes_.at(start_of(record) + field.offset + i) =
        static_cast<std::byte>((value >> (8 * i)) & 0xFFU);
  }
}

void ZipArchive::set_name(std::string_view name) {
  const Bytes raw = to_bytes(name);
  std::ranges::copy(raw, bytes_.begin() + 30);
  std::ranges::copy(raw, bytes_.begin() + static_cast<std::ptrdiff_t>(directory_) + 46);
}

void ZipArchive::insert_before_directory(const Bytes& bytes) {
  bytes_.insert(bytes_.begin() + static_cast<std::ptrdiff_t>(directory_), bytes.begin(),
                bytes.end());
  directory_ += bytes.size();
  set(Record::end, end::kDirectoryOffset, directory_);
}

void ZipArchive::add_zip64_end() {
  const std::uint64_t entries = get(Record::end, end::kEntries);
  const std::uint64_t size = get(Record::end, end::kDirectorySize);
  bytes_.insert(bytes_.end() - 22, 56 + 20, std::byte{0});
  set(Record::end64, end64::kSignature, 0x06064B50);
  set(Record::end64, end64::kRecordSize, 44);
  set(Record::end64, end64::kEntriesHere, entries);
  set(Record::end64, end64::kEntries, entries);
  set(Record::end64, end64::kDirectorySize, size);
  set(Record::end64, end64::kDirectoryOffset, directory_);
  set(Record::locator64, locator64::kSignature, 0x07064B50);
  set(Record::locator64, locator64::kRecordOffset, start_of(Record::end64));
  set(Record::locator64, locator64::kDisks, 1);
  set(Record::end, end::kEntriesHere, 0xFFFF);
  set(Record::end, end::kEntries, 0xFFFF);
  set(Record::end, end::kDirectorySize, 0xFFFFFFFF);
  set(Record::end, end::kDirectoryOffset, 0xFFFFFFFF);
}

std::size_t ZipArchive::start_of(Record record) const {
  switch (record) {
    case Record::local:
      return 0;
    case Record::central:
      return directory_;
    case Record::end64:
      return bytes_.size() - 22 - 20 - 56;
    case Record::locator64:
      return bytes_.size() - 22 - 20;
    case Record::end:
      break;
  }
  return bytes_.size() - 22;
}

ZipArchive small_archive(Compression compression) {
  const AnyTensor q = expected_array(DType::float32, {2, 3});
  const AnyTensor mask = expected_array(DType::boolean, {3});
  const std::vector<NamedView> views = {{.name = "q", .view = q}, {.name = "mask", .view = mask}};
  return ZipArchive(serialise_npz(views, compression));
}

}  // namespace attention::io::test
