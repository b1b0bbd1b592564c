// SPDX-License-Identifier: GPL-2.0-or-later
// Prometheus is answered, whatever others do at its address.
#include "daemon/metrics_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include "tests/cli/eventually.h"
#include "tests/unit/namespace.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint16_t port = 9478;

class MetricsServerTest : public testing::Test {
  protected:
    ~MetricsServerTest() override {
        const std::uint64_t one = 1;
        EXPECT_EQ(write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
        if (thread_.joinable()) thread_.join();
    }

    void serve(const MetricsServer::Limits& limits, std::string text = "synward_uptime_seconds 1\n") {
        loop_.emplace(*EventLoop::create());
        ASSERT_TRUE(loop_->watch(stop_.get(), EPOLLIN, [this](std::uint32_t) { loop_->stop(); }));
        auto server = MetricsServer::create(
            *loop_, *Endpoint::parse("0.0.0.0:9478"),
            [this, text] {
                std::this_thread::sleep_for(collecting_);
                return Result<std::string>(text);
            },
            limits);
        ASSERT_TRUE(server) << server.error().message;
        server_ = std::move(*server);
        thread_ = std::thread([this] { (void)loop_->run(); });
    }

    // From 127.0.0.`source`.
    static Descriptor client(unsigned source = 1) {
        Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in from{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK - 1 + source)}};
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from), 0);
        const sockaddr_in to{
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
        const timeval patience{.tv_sec = 5, .tv_usec = 0};
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        return fd;
    }
    static std::vector<Descriptor> clients(unsigned first, unsigned count) {
        std::vector<Descriptor> all;
        for (unsigned i = 0; i < count; i++) all.push_back(client(first + i));
        return all;
    }
    static bool say(const Descriptor& to, std::string_view what) {
        return send(to.get(), what.data(), what.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(what.size());
    }
    // One answer, or what there is of it.
    static std::string scrape(const Descriptor& from) {
        if (!say(from, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")) return "cannot ask";
        std::string text;
        std::array<char, 4096> buffer;
        while (!text.ends_with(" 1\n")) {
            const ssize_t got = recv(from.get(), buffer.data(), buffer.size(), 0);
            if (got <= 0) return text + (got ? "(nothing more)" : "(closed)");
            text.append(buffer.data(), static_cast<std::size_t>(got));
        }
        return text;
    }
    static bool is_closed(const Descriptor& client) {
        char byte;
        const ssize_t got = recv(client.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        return got == 0 || (got < 0 && errno != EAGAIN);
    }

    TestNamespace space_;
    std::chrono::milliseconds collecting_{0};
    Descriptor stop_{eventfd(0, EFD_CLOEXEC)};
    std::optional<EventLoop> loop_;
    std::unique_ptr<MetricsServer> server_;
    std::thread thread_;
};

TEST_F(MetricsServerTest, AConnectionIsKeptFromScrapeToScrape) {
    serve({});
    const Descriptor one = client();
    for (int i = 0; i < 3; i++) {
        const std::string answer = scrape(one);
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
        EXPECT_THAT(answer, HasSubstr("\r\n\r\nsynward_uptime_seconds 1\n"));
        EXPECT_THAT(answer, testing::Not(HasSubstr("Connection: close")));
    }
}

TEST_F(MetricsServerTest, AllLeaveAtOnceAndTheNextIsAnswered) {
    serve({});
    for (int round = 0; round < 3; round++) {
        {
            const auto all = clients(1, 17);
            // Until all that can be are accepted.
            std::this_thread::sleep_for(300ms);
        }
        ASSERT_THAT(scrape(client()), HasSubstr("200 OK")) << "round " << round;
    }
}

TEST_F(MetricsServerTest, AllHaveLeftBeforeTheyWereSeen) {
    collecting_ = 300ms;
    serve({});
    const Descriptor first = client(100);
    ASSERT_TRUE(say(first, "GET /metrics HTTP/1.0\r\n\r\n"));
    std::this_thread::sleep_for(100ms);
    (void)clients(1, 17);
    ASSERT_THAT(scrape(client()), HasSubstr("200 OK"));
}

TEST_F(MetricsServerTest, WhoeverSendsByteForByteIsLetGo) {
    serve({.ask = 1500ms});
    const Descriptor slow = client();
    const auto begun = std::chrono::steady_clock::now();
    while (!is_closed(slow) && std::chrono::steady_clock::now() - begun < 8s) {
        say(slow, "G");
        std::this_thread::sleep_for(100ms);
    }
    const auto took = std::chrono::steady_clock::now() - begun;
    EXPECT_GT(took, 1s);
    EXPECT_LT(took, 6s);
}

TEST_F(MetricsServerTest, WhoeverDoesNotReadIsLetGo) {
    serve({.take = 1500ms}, std::string(32 << 20, '#') + " 1\n");
    const Descriptor one = client();
    ASSERT_TRUE(say(one, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"));
    // Reads a little, so that there always is some progress.
    std::size_t read = 0;
    std::array<char, 1000> buffer;
    const auto begun = std::chrono::steady_clock::now();
    ssize_t got = 1;
    while (got > 0 && std::chrono::steady_clock::now() - begun < 3s) {
        got = recv(one.get(), buffer.data(), buffer.size(), 0);
        read += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
        std::this_thread::sleep_for(10ms);
    }
    while ((got = recv(one.get(), buffer.data(), buffer.size(), 0)) > 0)
        read += static_cast<std::size_t>(got);
    EXPECT_EQ(got, 0);
    EXPECT_LT(read, 32u << 20);
}

TEST_F(MetricsServerTest, OneSourceDoesNotTakeEveryPlace) {
    serve({.clients = 6, .of_one_source = 3});
    const Descriptor other = client(2);
    ASSERT_THAT(scrape(other), HasSubstr("200 OK"));
    std::vector<Descriptor> many;
    for (int i = 0; i < 20; i++) many.push_back(client(1));
    ASSERT_TRUE(eventually([&] { return std::count_if(many.begin(), many.end(), is_closed) == 17; }));
    EXPECT_THAT(scrape(other), HasSubstr("200 OK")) << "it is still there";
    EXPECT_THAT(scrape(client(3)), HasSubstr("200 OK"));
}

TEST_F(MetricsServerTest, TheOneWhoHasWaitedForLongestMakesRoom) {
    serve({.clients = 6, .of_one_source = 6, .ask = 60s});
    const auto silent = clients(1, 3);
    const Descriptor kept = client(100);
    ASSERT_THAT(scrape(kept), HasSubstr("200 OK"));
    const auto more = clients(10, 3);
    EXPECT_TRUE(eventually([&] { return is_closed(silent[0]); }));
    EXPECT_THAT(scrape(kept), HasSubstr("200 OK")) << "who asks now and then is not the one";
    EXPECT_THAT(scrape(client(50)), HasSubstr("200 OK"));
}

}  // namespace
}  // namespace synward
