#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>

#include "tests/support/files.hpp"

namespace attention {
namespace {

using test::FileSizeLimit;
using test::read_text;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

mode_t permissions_of(const std::filesystem::path& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777U;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// The message of the FileError that the function throws; "" when it throws none.
template <class Function>
std::string file_error_of(const Function& function) {
  try {
    function();
  } catch (const FileError& error) {
    return error.what();
  }
  return "";
}

TEST(AtomicFile, AppearsOnlyWithTheCommit) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  file.write("one ");
  file.write("two");
  file.overwrite(0, bytes_of("ONE"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.txt"));
  EXPECT_EQ(folder.names().size(), 1U);  // the temporary file lies beside the target
  file.commit();
  EXPECT_EQ(read_text(folder / "a.txt"), "ONE two");
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
}

TEST(AtomicFile, WithoutACommitNothingChanges) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "old.txt", "old");
  {
    AtomicFile replaces(folder / "old.txt");
    replaces.write("new");
    AtomicFile makes(folder / "new.txt");
    makes.write("new");
  }
  EXPECT_THAT(folder.names(), ElementsAre("old.txt"));
  EXPECT_EQ(read_text(folder / "old.txt"), "old");
}

TEST(AtomicFile, ReplacesAndKeepsThePermissions) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.txt", "a long old text");
  ASSERT_EQ(::chmod((folder / "a.txt").c_str(), 0640), 0);
  write_file_atomically(folder / "a.txt", bytes_of("new"));
  EXPECT_EQ(read_text(folder / "a.txt"), "new");
  EXPECT_EQ(permissions_of(folder / "a.txt"), 0640U);
}

TEST(AtomicFile, NewFilesFollowTheUmask) {
  const TemporaryFolder folder;
  const mode_t old_mask = ::umask(0027);
  write_file_atomically(folder / "a.txt", "text");
  ::umask(old_mask);
  EXPECT_EQ(permissions_of(folder / "a.txt"), 0640U);
}

TEST(AtomicFile, FollowsSymbolicLinks) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "real.txt", "old");
  std::filesystem::create_symlink("real.txt", folder / "link.txt");
  write_file_atomically(folder / "link.txt", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link.txt"));
  EXPECT_EQ(read_text(folder / "real.txt"), "new");

  std::filesystem::create_symlink("nowhere.txt", folder / "dangling.txt");
  EXPECT_EQ(file_error_of([&] { write_file_atomically(folder / "dangling.txt", "new"); }),
            (folder / "dangling.txt").string() +
                ": cannot follow the symbolic link: No such file or directory");
}

TEST(AtomicFile, SeveralWritersOfOneTargetDoNotMeet) {
  const TemporaryFolder folder;
  AtomicFile first(folder / "a.txt");
  AtomicFile second(folder / "a.txt");
  first.write("first");
  second.write("second");
  first.commit();
  EXPECT_EQ(read_text(folder / "a.txt"), "first");
  second.commit();
  EXPECT_EQ(read_text(folder / "a.txt"), "second");
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
}

TEST(AtomicFile, NamesTheStepThatFailed) {
  const TemporaryFolder folder;
  const auto error_of = [](const std::filesystem::path& path) {
    return file_error_of([&] { write_file_atomically(path, "text"); });
  };
  EXPECT_EQ(error_of(folder / "none/a.txt"),
            (folder / "none/a.txt").string() +
                ": cannot create a temporary file beside it: No such file or directory");
  EXPECT_THAT(error_of(folder.path()), HasSubstr("is not a regular file"));
  EXPECT_THAT(error_of(folder / std::string(256, 'x')),
              HasSubstr("cannot rename the temporary file over it: File name too long"));
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(AtomicFile, OnlyRegularFilesAreReplaced) {
  // A pipe stands for a device: a file of ours over /dev/null would break the whole machine, and so
  // this test does not try it there.
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("pipe", folder / "link");
  for (const char* name : {"pipe", "link"}) {
    EXPECT_EQ(file_error_of([&] { write_file_atomically(folder / name, "text"); }),
              (folder / name).string() + ": is not a regular file; nothing else is ever replaced");
  }
  EXPECT_TRUE(std::filesystem::is_fifo(folder / "pipe"));
  EXPECT_THAT(folder.names(), ElementsAre("link", "pipe"));
}

TEST(AtomicFile, NamesMayBeAsLongAsTheFileSystemAllows) {
  const TemporaryFolder folder;
  const std::string name(255, 'x');
  write_file_atomically(folder / name, "text");
  EXPECT_THAT(folder.names(), ElementsAre(name));
}

TEST(AtomicFile, AFolderThatOneMayNotWriteTo) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root may write everywhere";
  }
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  EXPECT_THAT(file_error_of([&] { write_file_atomically(folder / "a.txt", "text"); }),
              HasSubstr("cannot create a temporary file beside it: Permission denied"));
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
}

TEST(AtomicFile, AFailedRenameLeavesNothing) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  file.write("text");
  std::filesystem::create_directory(folder / "a.txt");  // after the check, as another program might
  EXPECT_THAT(file_error_of([&] { file.commit(); }),
              HasSubstr("cannot rename the temporary file over it: Is a directory"));
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
}

TEST(AtomicFile, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.txt", "old");
  std::string message;
  {
    const FileSizeLimit limit(4096);
    message =
        file_error_of([&] { write_file_atomically(folder / "a.txt", std::string(100'000, 'x')); });
  }
  EXPECT_EQ(message,
            (folder / "a.txt").string() + ": cannot write the temporary file: File too large");
  EXPECT_THAT(folder.names(), ElementsAre("a.txt"));
  EXPECT_EQ(read_text(folder / "a.txt"), "old");
}

TEST(AtomicFile, AfterAFailedWriteNothingCanBeCommitted) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  {
    const FileSizeLimit limit(4);
    EXPECT_NE(file_error_of([&] { file.write("five!"); }), "");
  }
  EXPECT_THAT(folder.names(), IsEmpty());
  EXPECT_THROW(file.write("more"), Error);
  EXPECT_THROW(file.commit(), Error);
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(AtomicFile, WrongUseIsAnError) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  file.write("text");
  EXPECT_THROW(file.overwrite(2, bytes_of("abc")), Error);
  EXPECT_THROW(file.overwrite(-1, bytes_of("a")), Error);
  EXPECT_THROW(file.overwrite(0, bytes_of("five!")), Error);
  file.commit();
  EXPECT_THROW(file.write("more"), Error);
  EXPECT_THROW(file.overwrite(0, bytes_of("a")), Error);
  EXPECT_THROW(file.commit(), Error);
}

}  // namespace
}  // namespace attention
