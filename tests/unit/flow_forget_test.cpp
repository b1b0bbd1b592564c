// SPDX-License-Identifier: GPL-2.0-or-later
// Connections that ended are taken out of the program's table.
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <cstring>

#include "fixture.h"
#include "lib/decide/prefix.h"
#include "lib/flow_table.h"
#include "lib/maps.h"
#include "xdp/hash.h"

namespace synward {
namespace {

class FlowForgetTest : public InstanceTest {
  protected:
    FlowForgetTest() {
        add("web", {80});
        apply(instance_);
    }

    static FlowTuple flow(std::uint16_t port) {
        return {raw_address(*Address::parse("203.0.113.7")), raw_address(*Address::parse("198.18.0.1")), port,
                80, SW_IPV4};
    }
    // As the program stores it (xdp/flows.h).
    void store(const FlowTuple& flow) {
        const sw_config config = instance_.config();
        __u64 source[2];
        __u64 destination[2];
        std::memcpy(source, flow.source.data(), sizeof source);
        std::memcpy(destination, flow.destination.data(), sizeof destination);
        const __u32 ports = htons(flow.source_port) | static_cast<__u32>(htons(flow.destination_port)) << 16;
        const __u64 hash = hash_flow(config.hash_key, source, destination, ports, flow.family);
        const auto set = static_cast<__u32>(hash >> 32 >> (32 - (config.flow_shift & 31)));
        sw_flow_set entries{};
        const int map = instance_.map_fd("sw_flows");
        ASSERT_EQ(bpf_map_lookup_elem(map, &set, &entries), 0);
        for (__u64& entry : entries.entry) {
            if (entry) continue;
            entry = sw_flow_entry(static_cast<__u32>(hash), 0, SW_FLOW_CONFIRMED, 1);
            break;
        }
        ASSERT_EQ(bpf_map_update_elem(map, &set, &entries, BPF_ANY), 0);
    }

    Instance instance_ = open();
};

TEST_F(FlowForgetTest, WhatEndedIsTakenOut) {
    FlowTable table = must(FlowTable::open(instance_));
    const std::vector<FlowTuple> ended{flow(1), flow(2)};
    store(ended[0]);
    EXPECT_EQ(table.forget(ended), 1u);
    EXPECT_EQ(table.forget(ended), 0u);
}

TEST_F(FlowForgetTest, WhatNobodyConfirmsIsTakenOut) {
    FlowTable table = must(FlowTable::open(instance_));
    for (std::uint16_t port = 1; port <= 100; port++) store(flow(port));
    table.doubt();
    // One that came meanwhile is in no doubt.
    store(flow(101));
    std::vector<FlowTuple> existing;
    for (std::uint16_t port = 1; port <= 60; port++) existing.push_back(flow(port));
    existing.push_back(flow(500));
    table.confirm(existing);
    EXPECT_EQ(table.settle(true), 40u);
    EXPECT_EQ(table.settle(true), 0u);
    existing.push_back(flow(101));
    EXPECT_EQ(table.forget(existing), 61u) << "they are still there";
}

TEST_F(FlowForgetTest, NothingIsTakenOutUnlessAllWasRead) {
    FlowTable table = must(FlowTable::open(instance_));
    const std::vector<FlowTuple> one{flow(1)};
    store(one[0]);
    table.doubt();
    EXPECT_EQ(table.settle(false), 0u);
    table.confirm(one);
    EXPECT_EQ(table.settle(true), 0u);
    EXPECT_EQ(table.forget(one), 1u);
}

}  // namespace
}  // namespace synward
