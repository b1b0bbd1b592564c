// SPDX-License-Identifier: GPL-2.0-or-later
// One test against the loaded object: standard policy, empty tables, a listener
// on every protected port. Every packet that a test sends is held against the
// rule that exactly one counter moves by one.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "clock.h"
#include "counters.h"
#include "host.h"
#include "object.h"
#include "oracle.h"
#include "packet.h"
#include "policy.h"

namespace synward::bpf_test {

// Path of the object under test; set by main().
extern std::string object_path;
const Object& object();

struct Outcome {
    std::uint32_t action;
    Bytes frame;
    Bytes metadata;
    Counters::Table counted;

    // The reason that was counted; SW_REASON_COUNT unless exactly one was.
    [[nodiscard]] sw_reason reason() const;
};

class BpfTest : public ::testing::Test {
  protected:
    BpfTest();
    void TearDown() override;

    // Writes `policy` to the maps.
    void store() { policy.store(object()); }

    Outcome send(const Bytes& frame);

    // Sends and compares verdict, counter, bytes and metadata; ADDs a failure that
    // shows all of them. `why` names the case.
    void expect(const Bytes& frame, sw_reason reason, unsigned service = kWeb, const std::string& why = {});
    void expect(const Packet& packet, sw_reason reason, unsigned service = kWeb,
                const std::string& why = {}) {
        expect(packet.bytes(), reason, service, why);
    }
    // Likewise, with everything foretold by the oracle.
    void expect_judged(const Bytes& frame, const std::string& why = {});
    void compare(const Bytes& frame, const Outcome& seen, const Expectation& expected,
                 const std::string& why);

    // The ACK with which a client that got `reply` to `syn` would finish the handshake.
    [[nodiscard]] static Packet finishing_ack(const Bytes& syn, const Bytes& reply, Tcp extra = {});
    // Sends the SYN, asserts that it is answered, returns the reply.
    Bytes answered(const Bytes& syn, unsigned service = kWeb);

    [[nodiscard]] std::uint32_t epoch() const {
        return static_cast<std::uint32_t>(ticks() >> policy.config.epoch_shift);
    }
    [[nodiscard]] Oracle oracle() const { return {policy, epoch_}; }

    // Empties the CPU's caches and fills its budgets.
    static void fresh_cpu();

    // Sets or clears every bit of the filter: all tuples may be known, or none is.
    enum class Filter { empty, first_generation, second_generation };
    static void fill_filter(Filter filter);

    Policy policy = Policy::standard();
    Counters counters;
    std::uint32_t epoch_;  // of the policy's calm shift
};

// The same packet in both families.
Packet tcp4(const Tcp& tcp);
Packet tcp6(const Tcp& tcp);

// The set that the segment's connection belongs to, and the hash that says so.
std::uint64_t flow_hash(const Segment& segment);
sw_flow_set read_flow_set(const Segment& segment);
void write_flow_set(const Segment& segment, const sw_flow_set& set);

// What the flow table holds for the segment's connection; 0: nothing.
std::uint64_t flow_entry(const Segment& segment);
void put_flow(const Segment& segment, sw_flow_state state, std::uint8_t options);
void clear_flows();
// Entries in the whole table.
std::size_t count_flows();

}  // namespace synward::bpf_test
