// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/interface_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "namespace.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Part = InterfaceLock::Part;

// In a folder of the test's own, which is not there yet.
struct InterfaceLockTest : testing::Test {
    InterfaceLockTest() {
        char place[] = "/tmp/synward-lock-XXXXXX";
        above_ = mkdtemp(place);
        folder_ = above_ + "/locks";
        setenv("SYNWARD_LOCK_FOLDER", folder_.c_str(), 1);
        here_.name = "here";
        here_.index = 7;
    }
    ~InterfaceLockTest() override {
        unsetenv("SYNWARD_LOCK_FOLDER");
        std::filesystem::remove_all(above_);
    }
    Result<InterfaceLock> take(Part part = Part::policy, std::chrono::milliseconds patience = 50ms) {
        return InterfaceLock::take(here_, part, patience);
    }
    std::filesystem::path file() {
        for (const auto& entry : std::filesystem::directory_iterator(folder_)) return entry.path();
        return {};
    }

    std::string above_, folder_;
    Interface here_;
};

TEST_F(InterfaceLockTest, IsOneWritersUntilItIsReleased) {
    auto first = take();
    ASSERT_TRUE(first) << first.error().message;
    const auto begin = std::chrono::steady_clock::now();
    const auto second = take();
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    EXPECT_THAT(second.error().message, HasSubstr("has been changing here for 0.05 s"));
    EXPECT_THAT(second.error().message, HasSubstr(file().string()));
    first->release();
    EXPECT_FALSE(first->held());
    EXPECT_TRUE(take());
}

TEST_F(InterfaceLockTest, AWaiterGetsItInTime) {
    auto first = take();
    ASSERT_TRUE(first);
    std::thread writer([&] {
        std::this_thread::sleep_for(50ms);
        first->release();
    });
    EXPECT_TRUE(take(Part::policy, 10s));
    writer.join();
}

TEST_F(InterfaceLockTest, OtherPartsInterfacesAndNamespacesHaveTheirOwn) {
    const auto first = take();
    ASSERT_TRUE(first);
    EXPECT_TRUE(take(Part::sources));
    here_.index = 8;
    EXPECT_TRUE(take());
    here_.index = 7;
    EXPECT_FALSE(take());
    const TestNamespace elsewhere;
    EXPECT_TRUE(take());
}

TEST_F(InterfaceLockTest, DiesWithItsHolder) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (!child) {
        const auto held = take();
        (void)!write(ready[1], held ? "+" : "-", 1);
        pause();
        _exit(0);
    }
    char taken = 0;
    ASSERT_EQ(read(ready[0], &taken, 1), 1);
    close(ready[0]);
    close(ready[1]);
    EXPECT_EQ(taken, '+');
    EXPECT_FALSE(take());
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(take());
}

TEST_F(InterfaceLockTest, AFileThatWasTakenAwayLocksNothing) {
    const auto old = take();
    ASSERT_TRUE(old);
    std::filesystem::remove_all(folder_);
    const auto fresh = take();
    ASSERT_TRUE(fresh) << fresh.error().message;
    EXPECT_FALSE(take());
}

TEST_F(InterfaceLockTest, TheFileIsRootsAloneAndNoLinkIsFollowed) {
    struct stat status {};
    ASSERT_TRUE(take());
    ASSERT_EQ(stat(file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    const auto name = file();
    std::filesystem::remove(name);
    std::filesystem::create_symlink(above_ + "/victim", name);
    const auto refused = take();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("cannot open the lock " + name.string()));
    EXPECT_FALSE(std::filesystem::exists(above_ + "/victim"));
}

TEST_F(InterfaceLockTest, AFolderThatCannotBeIsSaid) {
    const std::string none = above_ + "/none/locks";
    setenv("SYNWARD_LOCK_FOLDER", none.c_str(), 1);
    const auto refused = take();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::system);
    EXPECT_THAT(refused.error().message, HasSubstr("cannot make the folder " + none));
    EXPECT_THAT(refused.error().message, HasSubstr("SYNWARD_LOCK_FOLDER"));
}

}  // namespace
}  // namespace synward
