// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/output.h"

#include <gtest/gtest.h>

#include "lib/exit_status.h"
#include "tools/cli/event_line.h"
#include "tools/cli/table.h"

namespace synward::cli {
namespace {

TEST(Output, Rates) {
    EXPECT_EQ(rate_text(0), "0");
    EXPECT_EQ(rate_text(0.2), "<1");
    EXPECT_EQ(rate_text(999), "999");
    EXPECT_EQ(rate_text(999.7), "1.00k");
    EXPECT_EQ(rate_text(1500), "1.50k");
    EXPECT_EQ(rate_text(12345), "12.3k");
    EXPECT_EQ(rate_text(999600), "1.00M");
    EXPECT_EQ(rate_text(5e12), "5000G");
}

TEST(Output, BytesAndTimes) {
    EXPECT_EQ(bytes_text(512), "512 B");
    EXPECT_EQ(bytes_text(1536), "1.5 KiB");
    EXPECT_EQ(bytes_text(60ull << 20), "60 MiB");
    EXPECT_EQ(seconds_text(59), "59 s");
    EXPECT_EQ(seconds_text(3600), "1 h 0 min");
    EXPECT_EQ(seconds_text(90000), "1 d 1 h");
}

TEST(Output, Ports) {
    EXPECT_EQ(ports_text({}), "");
    EXPECT_EQ(ports_text({80}), "80");
    EXPECT_EQ(ports_text({80, 81, 443}), "80,81,443");
    EXPECT_EQ(ports_text({8000, 8001, 8002, 9000}), "8000-8002,9000");
    EXPECT_EQ(ports_text({1, 65533, 65534, 65535}), "1,65533-65535");
}

TEST(Output, ATableIsAlignedAndHasNoBlanksBehind) {
    Table table({{"NAME"}, {"N", Table::Align::right}, {"TEXT"}});
    table.add({"a", "1000", "x"});
    table.add({"long", "5", ""});
    EXPECT_EQ(table.text(2, false),
              "  NAME     N  TEXT\n"
              "  a     1000  x\n"
              "  long     5\n");
}

TEST(Output, ColoursDoNotCountAsWidth) {
    Table table({{""}, {""}});
    table.add({{"ab", Colour::red}, "x"});
    table.add({"abc", "y"});
    EXPECT_EQ(table.text(0, true), "\033[31mab\033[0m   x\nabc  y\n");
}

TEST(Output, AnEventIsTimedByTheClockOfTheKernel) {
    using namespace std::chrono_literals;
    const nlohmann::json armed{
        {"time_ns", 5'000'000'000}, {"event", "armed"}, {"service", 1}, {"name", "web"},
        {"interface", "eth0"},      {"syn_rate", 12000}};
    // 2 s before noon of some day by the calendar, whatever the time zone.
    const auto line = event_line(armed, 7s, std::chrono::system_clock::time_point(1'000'000'000s));
    std::time_t at = 999'999'998;
    char clock[16];
    std::strftime(clock, sizeof clock, "%H:%M:%S", std::localtime(&at));
    EXPECT_EQ(line, std::string(clock) + ".000 eth0 web armed: 12000 SYN/s");
}

TEST(Output, ASampleTellsBothEndsAndWhy) {
    using namespace std::chrono_literals;
    const nlohmann::json sample{
        {"time_ns", 0},        {"event", "sample"},          {"service", 7},
        {"interface", "eth0"}, {"reason", "stray_ack"},      {"source", "2001:db8::1"},
        {"source_port", 1024}, {"destination", "192.0.2.1"}, {"destination_port", 80}};
    const auto line = event_line(sample, 0s, {});
    EXPECT_NE(line.find("eth0 #7 [2001:db8::1]:1024 -> 192.0.2.1:80: stray_ack: ACK with a wrong cookie"),
              std::string::npos)
        << line;
}

TEST(Output, ADecisionTellsWhomItIsAboutAndWhy) {
    using namespace std::chrono_literals;
    nlohmann::json decision{{"time_ns", 0},
                            {"event", "decision"},
                            {"name", "web"},
                            {"kind", "handshake"},
                            {"source", "192.0.2.3"},
                            {"verdict", "drop"},
                            {"decider", "rates"},
                            {"dry_run", false},
                            {"reason", "connection_flood"},
                            {"text", "too many of them"}};
    const auto line = event_line(decision, 0s, {});
    EXPECT_NE(line.find(" web decision: handshake from 192.0.2.3: drop: too many of them"), std::string::npos)
        << line;
    decision["dry_run"] = true;
    EXPECT_NE(event_line(decision, 0s, {}).find(" web dry run: handshake from "), std::string::npos);
}

TEST(ExitStatus, IsThatOfTheTable) {
    EXPECT_EQ(exit_status(ErrorCode::system), 1);
    EXPECT_EQ(exit_status(ErrorCode::busy), 1);
    EXPECT_EQ(exit_status(ErrorCode::mismatch), 1);
    EXPECT_EQ(exit_status(ErrorCode::usage), 2);
    EXPECT_EQ(exit_status(ErrorCode::config), 2);
    EXPECT_EQ(exit_status(ErrorCode::missing), 3);
    EXPECT_EQ(exit_status(ErrorCode::privilege), 4);
    EXPECT_EQ(exit_status(ErrorCode::unsupported), 5);
}

}  // namespace
}  // namespace synward::cli
