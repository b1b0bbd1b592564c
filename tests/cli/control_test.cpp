// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket with clients that behave, and with others.
#include <gmock/gmock.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "daemon/control_server.h"
#include "tools/cli/control_client.h"

namespace synward {
namespace {

using cli::ControlClient;
using nlohmann::json;
using testing::HasSubstr;

// A server in a thread of its own; what is to happen there is posted.
class ControlTest : public testing::Test {
  protected:
    void SetUp() override {
        char folder[] = "/tmp/synward-control-XXXXXX";
        ASSERT_TRUE(mkdtemp(folder));
        folder_ = folder;
        path_ = folder_ + "/sub/control.sock";
        loop_.emplace(EventLoop::create().value());
        wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        ASSERT_TRUE(loop_->watch(wake_.get(), EPOLLIN, [this](std::uint32_t) { run_posted(); }));
        auto server = ControlServer::create(*loop_, path_, [](const json& request) -> Result<json> {
            if (request["command"] == "refuse") return fail(ErrorCode::missing, "there is none");
            if (request["command"] == "large") return json(std::string(300'000, 'x'));
            return json{{"echo", request}};
        });
        ASSERT_TRUE(server) << server.error().message;
        server_ = std::move(*server);
        thread_ = std::thread([this] { (void)loop_->run(); });
    }
    void TearDown() override {
        if (thread_.joinable()) {
            post([this] { loop_->stop(); });
            thread_.join();
        }
        server_.reset();
        std::filesystem::remove_all(folder_);
    }

    void post(std::function<void()> work) {
        {
            const std::lock_guard lock(mutex_);
            posted_.push_back(std::move(work));
        }
        const std::uint64_t one = 1;
        ASSERT_EQ(write(wake_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    void run_posted() {
        std::uint64_t times;
        if (read(wake_.get(), &times, sizeof times) < 0) return;
        std::vector<std::function<void()>> work;
        {
            const std::lock_guard lock(mutex_);
            work.swap(posted_);
        }
        for (const auto& each : work) each();
    }

    Descriptor raw_client() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        return socket;
    }
    static std::string read_all(int fd) {
        std::string text;
        char buffer[4096];
        for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;)
            text.append(buffer, static_cast<std::size_t>(got));
        return text;
    }
    void expect_alive() {
        auto client = ControlClient::connect(path_);
        ASSERT_TRUE(client) << client.error().message;
        EXPECT_TRUE(client->request({{"command", "x"}}));
    }

    std::string folder_, path_;
    std::optional<EventLoop> loop_;
    Descriptor wake_;
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
    std::unique_ptr<ControlServer> server_;
    std::thread thread_;
};

TEST_F(ControlTest, AnswersInOrder) {
    auto client = ControlClient::connect(path_);
    ASSERT_TRUE(client);
    for (int i = 0; i < 100; i++) {
        const auto answer = client->request({{"command", "x"}, {"n", i}});
        ASSERT_TRUE(answer);
        EXPECT_EQ((*answer)["echo"]["n"], i);
    }
    const auto refused = client->request({{"command", "refuse"}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::missing);
    EXPECT_EQ(refused.error().message, "there is none");
}

TEST_F(ControlTest, IsForItsOwnerOnly) {
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ControlTest, GarbageGetsAnAnswerAndHarmsNobody) {
    const Descriptor client = raw_client();
    const std::string garbage =
        "\n{\nnull\n[1]\n{\"command\": 1}\n\"\xff\xfe\"\n" + std::string(60'000, '[') + "\n";
    ASSERT_EQ(send(client.get(), garbage.data(), garbage.size(), 0), static_cast<ssize_t>(garbage.size()));
    shutdown(client.get(), SHUT_WR);
    const std::string answers = read_all(client.get());
    EXPECT_EQ(std::count(answers.begin(), answers.end(), '\n'), 7);
    EXPECT_THAT(answers, HasSubstr("usage"));
    expect_alive();
}

TEST_F(ControlTest, ARequestWithoutAnEndIsRefused) {
    const Descriptor client = raw_client();
    const std::string much(1 << 20, 'x');
    // The server stops reading; not all of it need fit.
    (void)send(client.get(), much.data(), much.size(), MSG_NOSIGNAL);
    EXPECT_THAT(read_all(client.get()), HasSubstr("65536 bytes"));
    expect_alive();
}

TEST_F(ControlTest, AClientThatNeverReadsDoesNotFillMemory) {
    const Descriptor client = raw_client();
    const std::string request = "{\"command\": \"large\"}\n";
    std::string many;
    for (int i = 0; i < 1000; i++) many += request;
    (void)send(client.get(), many.data(), many.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    expect_alive();
}

TEST_F(ControlTest, EventsReachThoseWhoAsked) {
    auto client = ControlClient::connect(path_);
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->request({{"command", "events"}}));
    post([this] { server_->publish({{"event", "armed"}}); });
    const auto line = client->next();
    ASSERT_TRUE(line);
    EXPECT_EQ((*line)["event"]["event"], "armed");
    // And it may still ask.
    post([this] { EXPECT_TRUE(server_->has_subscribers()); });
    EXPECT_TRUE(client->request({{"command", "x"}}));
}

TEST_F(ControlTest, ASlowSubscriberIsToldWhatItMissed) {
    auto client = ControlClient::connect(path_);
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->request({{"command", "events"}}));
    constexpr int sent = 10'000;
    std::promise<void> published;  // so slow that it reads nothing before
    post([&] {
        for (int i = 0; i < sent; i++) server_->publish({{"n", i}, {"text", std::string(1000, 'x')}});
        published.set_value();
    });
    published.get_future().wait();
    // No event follows: what it missed is told all the same, and adds up.
    int got = 0;
    std::int64_t missed = 0;
    while (got + missed < sent) {
        const auto line = client->next();
        ASSERT_TRUE(line);
        if (line->contains("missed"))
            missed += (*line)["missed"].get<std::int64_t>();
        else
            got++;
    }
    EXPECT_EQ(got + missed, sent);
    EXPECT_GT(got, 0);
    EXPECT_GT(missed, 0);
    post([this] { server_->publish({{"n", -1}}); });
    const auto after = client->next();
    ASSERT_TRUE(after);
    EXPECT_EQ((*after)["event"]["n"], -1);
    expect_alive();
}

TEST_F(ControlTest, IdleClientsKeepNobodyOut) {
    std::vector<Descriptor> idle;
    for (std::size_t i = 0; i < 3 * ControlServer::most_clients; i++) idle.push_back(raw_client());
    expect_alive();
}

TEST_F(ControlTest, ASecondServerIsRefusedAndADeadOnesSocketTakenOver) {
    auto loop = EventLoop::create().value();
    const auto handler = [](const json&) -> Result<json> { return json::object(); };
    const auto second = ControlServer::create(loop, path_, handler);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    EXPECT_THAT(second.error().message, HasSubstr(path_));
    expect_alive();

    // A socket that nobody listens at, as kill -9 leaves it.
    const std::string stale = folder_ + "/stale.sock";
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        stale.copy(address.sun_path, sizeof address.sun_path - 1);
        const Descriptor dead(::socket(AF_UNIX, SOCK_STREAM, 0));
        ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    EXPECT_TRUE(ControlServer::create(loop, stale, handler));
}

TEST_F(ControlTest, WhatIsNoSocketIsNotRemoved) {
    const std::string file = folder_ + "/file";
    std::ofstream(file) << "precious";
    auto loop = EventLoop::create().value();
    const auto server = ControlServer::create(loop, file, [](const json&) -> Result<json> { return json(); });
    ASSERT_FALSE(server);
    EXPECT_TRUE(std::filesystem::is_regular_file(file));
}

TEST(ControlClientTest, NoDaemonIsToldAsSuch) {
    const auto client = ControlClient::connect("/tmp/synward-no-such-socket");
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, ErrorCode::missing);
}

}  // namespace
}  // namespace synward
