// SPDX-License-Identifier: GPL-2.0-or-later
// The tables under the deciders: limits, who stays when all is full, hashes.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "decide_fixture.h"
#include "lib/abi/maps.h"
#include "lib/decide/ledger.h"

namespace synward {
namespace {

TEST(Gcra, LetsABurstThroughAndThenTheRate) {
    const Gcra limit(Limit{10, 5});
    std::atomic<std::uint64_t> arrival{0};
    std::uint64_t now = second;
    for (int i = 0; i < 5; i++) EXPECT_TRUE(limit.take(arrival, now)) << i;
    EXPECT_FALSE(limit.take(arrival, now));
    EXPECT_FALSE(limit.take(arrival, now + second / 10 - 1));
    EXPECT_TRUE(limit.take(arrival, now + second / 10));
    EXPECT_FALSE(limit.take(arrival, now + second / 10));
    now += 100 * second;
    for (int i = 0; i < 5; i++) EXPECT_TRUE(limit.take(arrival, now)) << "a rest earns one burst, not more";
    EXPECT_FALSE(limit.take(arrival, now));
}

TEST(Gcra, OverALongTimeItIsTheRate) {
    const Gcra limit(Limit{100, 10});
    std::atomic<std::uint64_t> arrival{0};
    int taken = 0;
    for (std::uint64_t now = second; now < 11 * second; now += second / 1000)
        taken += limit.take(arrival, now);
    EXPECT_NEAR(taken, 1000 + 10, 1);
}

TEST(Gcra, ZeroIsNoLimit) {
    const Gcra limit(Limit{0, 1});
    std::atomic<std::uint64_t> arrival{0};
    for (int i = 0; i < 1000; i++) ASSERT_TRUE(limit.take(arrival, 5));
}

TEST(Ledger, TheBusyStayWhenRandomKeysPass) {
    KeySource keys(1);
    Ledger ledger(1000, keys.next());
    const Gcra limit(Limit{10, 50});
    std::uint64_t now = second;
    for (int i = 0; i < 50; i++) ASSERT_TRUE(ledger.claim(77).take(limit, now));
    ASSERT_FALSE(ledger.claim(77).take(limit, now));
    std::mt19937_64 random(2);
    for (int i = 0; i < 1'000'000; i++) (void)ledger.claim(random()).take(limit, now);
    EXPECT_TRUE(ledger.find(77));
    EXPECT_FALSE(ledger.claim(77).take(limit, now)) << "its count was forgotten";
}

TEST(Ledger, AnEntryTakenOverBeginsAnew) {
    KeySource keys(1);
    Ledger ledger(1, keys.next());  // one bucket
    const Gcra limit(Limit{1, 1});
    for (std::uint64_t key = 1; key <= Ledger::ways; key++) {
        ASSERT_TRUE(ledger.claim(key).take(limit, key * 10));
        ASSERT_TRUE(ledger.claim(key).ticket_due(second, key * 10));
    }
    auto entry = ledger.claim(100);  // key 1 was the least ahead
    EXPECT_FALSE(ledger.find(1));
    EXPECT_TRUE(ledger.find(2));
    EXPECT_EQ(entry.ticketed(), 0u);
    EXPECT_TRUE(entry.take(limit, 20));
}

TEST(Ledger, APenaltyLastsAsLongAsSaid) {
    KeySource keys(1);
    Ledger ledger(10, keys.next());
    const Gcra limit(Limit{10, 5});
    auto entry = ledger.claim(1);
    entry.penalise(limit, 10 * second);
    EXPECT_FALSE(entry.take(limit, 10 * second - 1));
    EXPECT_TRUE(entry.take(limit, 10 * second));
}

TEST(Ledger, TicketsAreDueOnceInAWhile) {
    KeySource keys(1);
    Ledger ledger(10, keys.next());
    auto entry = ledger.claim(1);
    EXPECT_TRUE(entry.ticket_due(second, 5));
    EXPECT_FALSE(entry.ticket_due(second, 6));
    EXPECT_TRUE(entry.ticket_due(second, second + 5));
}

TEST(HashKey, SpreadsWhatDiffersLittle) {
    KeySource keys(3);
    const HashKey key = keys.next();
    std::vector<int> bucket(256);
    for (std::uint32_t i = 0; i < 65536; i++) bucket[hash_index(key(0xc6120000ull + i), 256)]++;
    // Strong universality promises the mean only; this is far from what it gives for one key.
    EXPECT_LT(*std::max_element(bucket.begin(), bucket.end()), 3 * 256);
}

TEST(HashKey, KeysDifferAndTheKernelsAreRandom) {
    auto one = KeySource::random();
    auto two = KeySource::random();
    ASSERT_TRUE(one && two);
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 8; i++) {
        seen.insert(one->next()(std::uint64_t{1}));
        seen.insert(two->next()(std::uint64_t{1}));
    }
    EXPECT_EQ(seen.size(), 16u);
}

TEST(ProvenTable, RemembersCountsAndForgets) {
    KeySource keys(4);
    ProvenTable table(64, std::chrono::seconds(600), keys);
    EXPECT_EQ(table.find(9, second).handshakes, 0u);
    table.add(9, 100 * second);
    table.add(9, 101 * second);
    const auto proof = table.find(9, 161 * second);
    EXPECT_EQ(proof.handshakes, 2u);
    EXPECT_NEAR(static_cast<double>(proof.age), 60e9, 0.6e9);
    EXPECT_TRUE(proof.within(600 * second));
    EXPECT_FALSE(table.find(9, 800 * second).within(600 * second));
    table.add(9, 900 * second);
    EXPECT_EQ(table.find(9, 900 * second).handshakes, 1u) << "what was forgotten does not count";
}

TEST(ProvenTable, TheOldestGivesWayAndNobodyElseLooksProven) {
    KeySource keys(4);
    ProvenTable table(1024, std::chrono::seconds(600), keys);
    for (std::uint64_t i = 0; i < 200'000; i++) table.add(i, second + i * 1'000'000);
    unsigned recent = 0;
    for (std::uint64_t i = 199'500; i < 200'000; i++) recent += table.find(i, 201 * second).handshakes > 0;
    EXPECT_GT(recent, 450u);
    unsigned strangers = 0;
    for (std::uint64_t i = 1'000'000; i < 2'000'000; i++)
        strangers += table.find(i, 201 * second).handshakes > 0;
    EXPECT_LE(strangers, 1u);
}

TEST(LearnedShapes, CountsDecaysAndKeepsTheUsual) {
    KeySource keys(5);
    LearnedShapes shapes(256, std::chrono::hours(1), keys);
    sw_shape usual{.layout = 0x0204080103, .header = 40, .hops = 64, .wscale = 7};
    for (int i = 0; i < 40; i++) shapes.learn(3, usual, 1, second);
    EXPECT_EQ(shapes.count(3, usual), 40u);
    EXPECT_EQ(shapes.count(4, usual), 0u) << "of another service";
    sw_shape other = usual;
    other.wscale = 8;
    EXPECT_EQ(shapes.count(3, other), 0u);
    for (std::uint32_t i = 0; i < 100'000; i++) {
        sw_shape odd = usual;
        odd.layout = 0x100000000ull + i;
        shapes.learn(3, odd, 1, second);
    }
    EXPECT_EQ(shapes.count(3, usual), 40u) << "shapes that come once displaced it";
    shapes.learn(3, other, 2, second + 2 * 3600 * second);
    EXPECT_EQ(shapes.count(3, usual), 10u);
    EXPECT_EQ(shapes.count(3, other), 2u);
}

TEST(KnownFlows, KnowsWhatWasAddedForTwoRenewals) {
    KeySource keys(6);
    KnownFlows flows(4096, keys);
    std::vector<FlowTuple> some;
    for (std::uint32_t i = 0; i < 4096; i++) {
        FlowTuple tuple{
            {i * 7, 1, 2, 3}, {9, 9, 9, 9}, static_cast<std::uint16_t>(i), 443, i % 2 ? SW_IPV6 : SW_IPV4};
        some.push_back(tuple);
    }
    flows.begin();
    for (const FlowTuple& tuple : some) flows.add(tuple);
    EXPECT_FALSE(flows.trusted(second, 60 * second)) << "before finish()";
    flows.finish(second);
    EXPECT_TRUE(flows.trusted(61 * second, 60 * second));
    EXPECT_FALSE(flows.trusted(62 * second, 60 * second));
    unsigned strangers = 0;
    for (const FlowTuple& tuple : some) {
        ASSERT_TRUE(flows.contains(tuple));
        ASSERT_TRUE(flows.contains_source(tuple.source, tuple.family));
        FlowTuple stranger = tuple;
        stranger.source_port ^= 0x8000;
        strangers += flows.contains(stranger);
    }
    EXPECT_LT(strangers, 4096u / 100);

    flows.begin();  // fails: the last whole generation must outlive any number of failures
    flows.begin();
    for (const FlowTuple& tuple : some) ASSERT_TRUE(flows.contains(tuple));
    flows.finish(2 * second);
    flows.begin();
    flows.finish(3 * second);
    unsigned left = 0;
    for (const FlowTuple& tuple : some) left += flows.contains(tuple);
    EXPECT_EQ(left, 0u);
}

TEST(KnownFlows, KeepsWhatWasReportedBetweenRenewalsThatFail) {
    KeySource keys(6);
    KnownFlows flows(4096, keys);
    const auto tuple = [](std::uint32_t i) {
        return FlowTuple{{i}, {9}, static_cast<std::uint16_t>(i), 443, SW_IPV4};
    };
    flows.begin();
    flows.finish(second);
    flows.begin();  // fails
    flows.add(tuple(1));
    flows.begin();  // fails
    EXPECT_TRUE(flows.contains(tuple(1))) << "reported after the renewal that failed";
    EXPECT_TRUE(flows.trusted(2 * second, 60 * second));

    // Failures that go on do not fill it until everything looks known.
    for (std::uint32_t i = 0; i < 200; i++) {
        flows.begin();
        for (std::uint32_t j = 0; j < 1000; j++) flows.add(tuple(1000 + i * 1000 + j));
    }
    unsigned strangers = 0;
    for (std::uint32_t i = 0; i < 10'000; i++) strangers += flows.contains(tuple(1'000'000 + i));
    EXPECT_LT(strangers, 500u);
}

TEST(ServiceTable, FindsByPortAndByAddress) {
    KeySource keys(7);
    ServiceTable table(keys);
    CompiledPolicy policy;
    policy.ports[443] = 3;
    policy.ports[80] = SW_PORT_BY_ADDRESS;
    policy.addresses.push_back({*Address::parse("203.0.113.1"), 80, 5});
    policy.addresses.push_back({*Address::parse("2001:db8::1"), 80, 6});
    policy.services[5].escalate_default = SW_ACTION_DROP;
    ASSERT_TRUE(table.load(policy));
    FlowEvent e = DecideTest::event(EventKind::stray, "192.0.2.1");
    EXPECT_EQ(table.find(e), 3);
    e.destination_port = 80;
    EXPECT_EQ(table.find(e), 5);
    e.destination = DecideTest::raw("203.0.113.2");
    EXPECT_EQ(table.find(e), 0);
    e = DecideTest::event(EventKind::stray, "2001:db8::7");
    e.destination_port = 80;
    EXPECT_EQ(table.find(e), 6);
    EXPECT_EQ(table.fallback(5), SW_VERDICT_DROP);
    EXPECT_EQ(table.fallback(6), SW_VERDICT_ACCEPT);

    policy.addresses.assign(SW_ADDRESSES + 1, policy.addresses[0]);
    EXPECT_FALSE(table.load(policy));
    EXPECT_EQ(table.find(e), 6) << "a policy that was refused changed something";
    policy.addresses.clear();
    policy.ports[80] = 0;
    ASSERT_TRUE(table.load(policy));
    EXPECT_EQ(table.find(e), 0);
}

}  // namespace
}  // namespace synward
