// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "lib/descriptor.h"

namespace synward {
namespace {

namespace fs = std::filesystem;

class OutputFileTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "output_file.XXXXXX").string();
        ASSERT_TRUE(mkdtemp(pattern.data()));
        folder = pattern;
        file = folder / "policy.toml";
    }
    void TearDown() override { fs::remove_all(folder); }

    static void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
    static std::string get(const fs::path& path) {
        std::ifstream in(path);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    static Result<void> replace(const fs::path& path, std::string_view text) {
        auto made = OutputFile::write(path.string(), text);
        if (!made) return tl::unexpected(made.error());
        return made->publish();
    }
    [[nodiscard]] std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(folder), {}); }
    static struct stat about(const fs::path& path) {
        struct stat is {};
        EXPECT_EQ(lstat(path.c_str(), &is), 0);
        return is;
    }

    fs::path folder, file;
};

TEST_F(OutputFileTest, ANewFileHasTheModeThatTheUmaskLeaves) {
    const mode_t before = umask(027);
    const auto done = replace(file, "new");
    umask(before);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(get(file), "new");
    EXPECT_EQ(about(file).st_mode & 07777, 0640u);
    EXPECT_EQ(files(), 1);
}

TEST_F(OutputFileTest, AFileKeepsItsModeAndOwner) {
    put(file, "old");
    ASSERT_EQ(chmod(file.c_str(), 0640), 0);
    const bool root = geteuid() == 0;
    if (root) {
        ASSERT_EQ(chown(file.c_str(), 65534, 65533), 0);
    }
    ASSERT_TRUE(replace(file, "new"));
    EXPECT_EQ(get(file), "new");
    EXPECT_EQ(about(file).st_mode & 07777, 0640u);
    if (root) {
        EXPECT_EQ(about(file).st_uid, 65534u);
        EXPECT_EQ(about(file).st_gid, 65533u);
    }
}

TEST_F(OutputFileTest, WhatIsPlantedBesideItStays) {
    const fs::path victim = folder / "victim", planted = folder / "policy.toml.new";
    put(victim, "untouched");
    fs::create_symlink(victim, planted);
    ASSERT_TRUE(replace(file, "new"));
    EXPECT_EQ(get(victim), "untouched");
    EXPECT_TRUE(fs::is_symlink(planted));
    fs::remove(planted);
    ASSERT_EQ(mkfifo(planted.c_str(), 0600), 0);
    ASSERT_TRUE(replace(file, "newer")) << "and nobody reads the pipe";
    EXPECT_EQ(get(file), "newer");
}

TEST_F(OutputFileTest, ASymlinkStaysOne) {
    const fs::path real = folder / "real";
    put(real, "old");
    fs::create_symlink("real", file);
    ASSERT_TRUE(replace(file, "new"));
    EXPECT_TRUE(fs::is_symlink(file));
    EXPECT_EQ(get(real), "new");
    fs::remove(real);
    const auto refused = replace(file, "new");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::usage);
    EXPECT_EQ(files(), 1);
}

TEST_F(OutputFileTest, APipeIsWrittenToAndStaysOne) {
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
    const Descriptor reader(open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const Descriptor writer(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(replace(file, "new"));
    char got[8];
    EXPECT_EQ(read(reader.get(), got, sizeof got), 3);
    EXPECT_TRUE(S_ISFIFO(about(file).st_mode));
    EXPECT_EQ(files(), 1);
}

TEST_F(OutputFileTest, WhatFailsLeavesNothing) {
    put(file, "old");
    { const auto unpublished = OutputFile::write(file.string(), "new"); }
    EXPECT_EQ(get(file), "old");
    EXPECT_EQ(files(), 1);
    const auto full = replace("/dev/full", "new");
    ASSERT_FALSE(full);
    EXPECT_NE(full.error().message.find("cannot write /dev/full: No space left"), std::string::npos);
    EXPECT_FALSE(replace(folder, "new"));
    const auto nowhere = replace(folder / "none" / "such", "new");
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().code, ErrorCode::missing);
    EXPECT_FALSE(replace("", "new"));
}

}  // namespace
}  // namespace synward
