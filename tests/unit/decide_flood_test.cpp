// SPDX-License-Identifier: GPL-2.0-or-later
// Three million sources of each kind and family, each new: the memory is what it
// was, nothing is allocated, nobody who was known is forgotten, and no ticket is written.
#include <fstream>
#include <random>
#include <tuple>

#include "allocations.h"
#include "decide_fixture.h"

namespace synward {
namespace {

// A sanitizer needs many times the time, and memory for its own books.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool plain = false;
constexpr std::uint64_t sources = 150'000;
#else
constexpr bool plain = true;
constexpr std::uint64_t sources = 3'000'000;
#endif

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    file >> total >> resident;
    return resident * 4096;
}

struct DecideFloodTest : DecideTest, testing::WithParamInterface<std::tuple<EventKind, sw_family>> {};

TEST_P(DecideFloodTest, RandomSourcesChangeNothing) {
    const auto [kind, family] = GetParam();
    const bool v6 = family == SW_IPV6;
    const std::string proven = v6 ? "2001:db8:200::1" : "203.0.113.200";
    const std::string stranger = v6 ? "2001:db8:1::1" : "192.0.2.1";
    handshakes(proven, 1, second);
    for (int i = 0; i < 8; i++) (void)decide(shaped(EventKind::shape, proven, 0x204), second);
    const FlowEvent known = event(EventKind::stray, v6 ? "2001:db8:201::1" : "203.0.113.201", 1234);
    know({known}, second);

    FlowEvent e = shaped(kind, stranger, 0x999);
    std::mt19937_64 random(1);
    Decision d;
    std::uint64_t now = 2 * second;
    std::uint64_t tickets_by_source = 0;
    std::uint64_t tickets_by_shape = 0;
    std::uint64_t set_entries = 0;
    auto flood = [&](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; i++) {
            const std::uint64_t bits = random();
            e.source[0] = static_cast<std::uint32_t>(bits);
            if (v6) e.source[1] = e.source[3] = static_cast<std::uint32_t>(bits >> 32);
            e.source_port = static_cast<std::uint16_t>(bits >> 32);
            now += 5'000;  // 200,000 a second
            chain().decide(e, now, d);
            for (const Action& a : d.actions()) {
                if (a.kind == Action::Kind::ticket)
                    ++(a.key.doubt == SW_DOUBT_SHAPE ? tickets_by_shape : tickets_by_source);
                set_entries += a.kind == Action::Kind::set;
            }
        }
    };
    flood(10'000);
    const std::uint64_t memory = chain().memory_bytes() + shared().memory_bytes();
    const std::uint64_t resident = resident_bytes();
    const std::uint64_t before = allocations();
    flood(sources);
    EXPECT_EQ(allocations(), before) << "something was allocated";
    EXPECT_EQ(chain().memory_bytes() + shared().memory_bytes(), memory);
    EXPECT_LT(memory, 16u << 20);
    if (plain) {
        EXPECT_LT(resident_bytes(), resident + (1 << 20));
    }
    // Sources that happen to come again within seconds are few, shapes get one ticket a second.
    EXPECT_LE(tickets_by_source, sources / 10'000);
    EXPECT_LE(tickets_by_shape, sources / 200'000 + 2);
    EXPECT_EQ(set_entries, 0u);

    know({known}, now);
    // Handshakes cannot be forged: they alone push out who was proven before.
    if (kind == EventKind::handshake) handshakes(proven, 1, now);
    EXPECT_EQ(decide(event(EventKind::stray, proven), now).reason, DecisionReason::proven);
    EXPECT_EQ(decide(known, now).reason, DecisionReason::known_flow);
    EXPECT_EQ(decide(shaped(EventKind::syn, stranger, 0x204), now).reason, DecisionReason::shape_normal);
}

INSTANTIATE_TEST_SUITE_P(Kinds, DecideFloodTest,
                         testing::Combine(testing::Values(EventKind::stray, EventKind::syn,
                                                          EventKind::fragment, EventKind::malformed,
                                                          EventKind::handshake, EventKind::shape),
                                          testing::Values(SW_IPV4, SW_IPV6)),
                         [](const auto& of) {
                             return std::string(event_kind_name(std::get<0>(of.param))) +
                                    (std::get<1>(of.param) == SW_IPV6 ? "_ipv6" : "_ipv4");
                         });

// Every kind of event and every outcome, actions and log included.
TEST_F(DecideTest, NoDecisionAllocates) {
    config.host_rate = config.connections = {5, 10};
    know({event(EventKind::stray, "198.38.0.1")}, second);
    std::vector<FlowEvent> events;
    for (unsigned i = 0; i < 20'000; i++) {
        // Half of the hosts never complete a handshake; one shape is never seen in peace.
        const unsigned host = i / 9 % 40;
        auto kind = static_cast<EventKind>(i % 9);
        if (kind == EventKind::handshake && host >= 20) kind = EventKind::other;
        const std::string number = std::to_string(host);
        events.push_back(shaped(kind, host % 2 ? "2001:db8:" + number + "::1" : "198." + number + ".0.1",
                                kind == EventKind::syn && host >= 30 ? 99 : i % 7));
    }
    (void)chain();
    Decision d;
    const std::uint64_t before = allocations();
    for (std::size_t i = 0; i < events.size(); i++) chain().decide(events[i], second + i * 100'000, d);
    EXPECT_EQ(allocations(), before);
    for (const DecisionReason reason :
         {DecisionReason::service_default, DecisionReason::proven, DecisionReason::proven_over_rate,
          DecisionReason::known_flow, DecisionReason::unknown_flow, DecisionReason::shape_normal,
          DecisionReason::shape_flood, DecisionReason::host_rate, DecisionReason::fragment_policy,
          DecisionReason::malformed_policy, DecisionReason::connection_flood, DecisionReason::noted})
        EXPECT_GT(chain().count(reason), 0u) << decision_reason_name(reason) << " was not exercised";
}

}  // namespace
}  // namespace synward
