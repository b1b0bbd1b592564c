// SPDX-License-Identifier: GPL-2.0-or-later
// What is told of connections that are gone, with the kernel's own conntrack.
#include "daemon/flow_sync.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "lib/decide/prefix.h"
#include "namespace.h"

namespace synward {
namespace {

class Follower : public FlowFollower {
  public:
    void ended(std::span<const FlowTuple> flows) override {
        const std::lock_guard lock(mutex_);
        ended_ += flows.size();
        changed_.notify_all();
    }
    void doubt() override {
        const std::lock_guard lock(mutex_);
        doubts_++;
        confirmed_.clear();
        if (doubts_ > failing_) return;
        // No socket to list with.
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &files_), 0);
        const rlimit none{.rlim_cur = 0, .rlim_max = files_.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    void confirm(std::span<const FlowTuple> flows) override {
        const std::lock_guard lock(mutex_);
        confirmed_.insert(confirmed_.end(), flows.begin(), flows.end());
    }
    void settle(bool all) override {
        const std::lock_guard lock(mutex_);
        settled_ += all;
        if (doubts_ <= failing_) {
            EXPECT_FALSE(all);
            EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &files_), 0);
        }
        changed_.notify_all();
    }

    template <typename Done>
    bool wait(const Done& done) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return done(*this); });
    }

    std::size_t ended_ = 0;
    unsigned doubts_ = 0;
    unsigned settled_ = 0;
    unsigned failing_ = 0;  // so many listings
    std::vector<FlowTuple> confirmed_;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    rlimit files_{};
};

sockaddr_in here(std::uint16_t port) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "198.18.0.1", &address.sin_addr);
    return address;
}

struct FlowSyncTest : testing::Test {
    // A TCP connection of this thread with itself.
    struct Connection {
        Descriptor client, server;
        std::uint16_t port = 0;  // the client's
        [[nodiscard]] FlowTuple at_server() const {
            const RawAddress own = raw_address(*Address::parse("198.18.0.1"));
            return {own, own, port, 8001, SW_IPV4};
        }
    };

    FlowSyncTest() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        // Makes the namespace track connections.
        run("nft 'add table ip t; add chain ip t c { type filter hook prerouting priority 0; }; "
            "add rule ip t c ct state established accept'");
        const sockaddr_in address = here(8001);
        EXPECT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listener_.get(), 4), 0);
    }

    [[nodiscard]] Connection connection() const {
        Connection c{Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), {}, 0};
        const sockaddr_in to = here(8001);
        EXPECT_EQ(connect(c.client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
        c.server = Descriptor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        sockaddr_in own{};
        socklen_t length = sizeof own;
        EXPECT_EQ(getsockname(c.client.get(), reinterpret_cast<sockaddr*>(&own), &length), 0);
        c.port = ntohs(own.sin_port);
        return c;
    }

    // More ends than the smallest socket can hold; again where the reader kept up with them.
    static void lose_reports() {
        const std::uint64_t before = FlowSync::lost();
        const Descriptor link(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        for (int tries = 0; tries < 20 && FlowSync::lost() == before; tries++) {
            for (std::uint16_t port = 20000; port < 20500; port++) {
                const sockaddr_in to = here(port);
                (void)sendto(link.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
            }
            run("conntrack -F");
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }

    TestNamespace space_;
    Descriptor listener_;
};

TEST_F(FlowSyncTest, TellsWhatEndedAndReadsNothingElse) {
    Follower follower;
    const auto sync = FlowSync::start(follower);
    ASSERT_TRUE(sync) << sync.error().message;
    const Connection c = connection();
    run("conntrack -D -p tcp");
    EXPECT_TRUE(follower.wait([](const Follower& f) { return f.ended_ == 2; })) << "both directions";
    EXPECT_EQ(follower.doubts_, 0u);
}

TEST_F(FlowSyncTest, FindsOutWhatIsGoneAfterReportsWereLost) {
    Follower follower;
    // As small as the kernel allows: one report or two.
    const auto sync = FlowSync::start(follower, 1);
    ASSERT_TRUE(sync) << sync.error().message;
    const Connection lives = connection();
    FlowTuple gone;
    {
        const Connection ends = connection();
        gone = ends.at_server();
        // Gone at once, with no TIME_WAIT.
        const linger now{.l_onoff = 1, .l_linger = 0};
        ASSERT_EQ(setsockopt(ends.client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    }
    const std::uint64_t before = FlowSync::lost();
    lose_reports();
    ASSERT_TRUE(follower.wait([](const Follower& f) { return f.settled_ > 0; }));
    EXPECT_GT(FlowSync::lost(), before);
    const auto confirmed = [&](const FlowTuple& flow) {
        return std::any_of(follower.confirmed_.begin(), follower.confirmed_.end(), [&](const FlowTuple& f) {
            return f.source_port == flow.source_port && f.destination_port == flow.destination_port;
        });
    };
    EXPECT_TRUE(confirmed(lives.at_server())) << "its socket is there";
    EXPECT_FALSE(confirmed(gone));
}

TEST_F(FlowSyncTest, ReadsAgainWhatCouldNotBeRead) {
    Follower follower;
    // More may be lost right after the first.
    follower.failing_ = 2;
    const auto sync = FlowSync::start(follower, 1);
    ASSERT_TRUE(sync) << sync.error().message;
    lose_reports();
    ASSERT_TRUE(follower.wait([](const Follower& f) { return f.doubts_ == 2; }));
    const auto begun = std::chrono::steady_clock::now();
    const std::uint64_t lost = FlowSync::lost();
    ASSERT_TRUE(follower.wait([](const Follower& f) { return f.settled_ > 0; }));
    EXPECT_EQ(FlowSync::lost(), lost) << "nothing else asked for it";
    EXPECT_GT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2)) << "not at once";
}

}  // namespace
}  // namespace synward
