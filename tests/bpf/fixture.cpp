// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "reply.h"
#include "xdp/hash.h"

namespace synward::bpf_test {

std::string object_path = SYNWARD_BPF_OBJECT;

const Object& object() {
    static const Object loaded(object_path);
    return loaded;
}

namespace {

const char* action_name(std::uint32_t action) {
    static constexpr const char* kNames[] = {"ABORTED", "DROP", "PASS", "TX", "REDIRECT"};
    return action < 5 ? kNames[action] : "(unknown action)";
}

// IPv4 and IPv6 listeners on the ports of the standard policy, for the process's life.
void keep_listeners() {
    static std::vector<Socket> listeners;
    if (!listeners.empty()) return;
    for (unsigned port : {kWebPort, kMonitorPort, kAutoPort, kOffPort, kBoundPort}) {
        listeners.push_back(listen_on(kHost4, port));
        listeners.push_back(listen_on(kHost6, port));
    }
}

}  // namespace

BpfTest::BpfTest() : counters(object()) {
    keep_listeners();
    clear_flows();
    object().clear("sw_tickets");
    fresh_cpu();
    fill_filter(Filter::empty);
    store();
    epoch_ = epoch();
}

void BpfTest::TearDown() {
    const auto elsewhere = counters.changes_elsewhere();
    EXPECT_TRUE(elsewhere.empty()) << "counters of services that do not exist moved: "
                                   << Counters::text(elsewhere);
}

void BpfTest::fresh_cpu() {
    auto cpu = std::make_unique<sw_cpu>();
    // Zero would be a time like any other: shortly before the clock's wrap it is a debt.
    const std::uint32_t now = static_cast<std::uint32_t>(ticks()) << SW_TICK_SHIFT;
    cpu->reply = cpu->handshake = now;
    std::fill(std::begin(cpu->prefix), std::end(cpu->prefix), now);
    std::fill(std::begin(cpu->escalate), std::end(cpu->escalate), now);
    object().write("sw_cpu", static_cast<std::uint32_t>(pinned_cpu() % SW_CPUS), *cpu);
}

void BpfTest::fill_filter(Filter which) {
    auto filter = std::make_unique<sw_filter>();
    for (auto& word : filter->bits) {
        if (which == Filter::first_generation) word[0] = ~0ull;
        if (which == Filter::second_generation) word[1] = ~0ull;
    }
    object().write("sw_filter", std::uint32_t{0}, *filter);
}

sw_reason Outcome::reason() const {
    if (counted.size() != 1 || counted.begin()->second != 1) return SW_REASON_COUNT;
    return static_cast<sw_reason>(counted.begin()->first.second);
}

Outcome BpfTest::send(const Bytes& frame) {
    auto run = object().run(frame);
    return {.action = run.action,
            .frame = std::move(run.frame),
            .metadata = std::move(run.metadata),
            .counted = counters.changes()};
}

void BpfTest::compare(const Bytes& frame, const Outcome& seen, const Expectation& e, const std::string& why) {
    const Counters::Table counted = {{{e.service, e.reason}, 1}};
    Bytes metadata;
    if (e.metadata) {
        metadata.resize(sizeof(sw_metadata));
        std::memcpy(metadata.data(), &*e.metadata, sizeof(sw_metadata));
    }
    const bool bytes_match = e.action == XDP_DROP || seen.frame == e.frame;
    const bool metadata_match = e.action == XDP_DROP || seen.metadata == metadata;
    if (seen.counted == counted && seen.action == e.action && bytes_match && metadata_match) return;

    std::string text = why.empty() ? "" : why + "\n";
    text += "sent:\n" + hex(frame);
    text += std::string("expected ") + action_name(e.action) + ", " + Counters::text(counted) + "\n";
    text += std::string("seen     ") + action_name(seen.action) + ", " + Counters::text(seen.counted) + "\n";
    if (!bytes_match) text += "expected bytes:\n" + hex(e.frame) + "seen bytes:\n" + hex(seen.frame);
    if (!metadata_match)
        text += "expected metadata:\n" + hex(metadata) + "seen metadata:\n" + hex(seen.metadata);
    ADD_FAILURE() << text;
}

void BpfTest::expect(const Bytes& frame, sw_reason reason, unsigned service, const std::string& why) {
    compare(frame, send(frame), oracle().outcome(frame, reason, service), why);
}

void BpfTest::expect_judged(const Bytes& frame, const std::string& why) {
    compare(frame, send(frame), oracle().judge(frame), why);
}

Bytes BpfTest::answered(const Bytes& syn, unsigned service) {
    Outcome seen = send(syn);
    compare(syn, seen, oracle().outcome(syn, SW_REASON_SYN_ANSWERED, service), "a SYN to be answered");
    return seen.frame;
}

Packet BpfTest::finishing_ack(const Bytes& syn, const Bytes& reply, Tcp extra) {
    const Segment s = dissect(syn), r = dissect(reply);
    Tcp tcp = std::move(extra);
    tcp.source = s.source_port;
    tcp.destination = *s.port;
    tcp.seq = s.seq + 1;
    tcp.ack_seq = r.seq + 1;
    tcp.ack = true;
    if (const auto stamp = read_options(r.options).timestamp; stamp && tcp.options.empty())
        tcp.options = options({nop(), nop(), timestamp(stamp->echo + 1, stamp->value)});
    if (s.v6) return Ethernet{} / Packet(Ipv6{.source = s.source, .destination = s.destination}) / tcp;
    return Ethernet{} / Packet(Ipv4{.source = s.source, .destination = s.destination}) / tcp;
}

Packet tcp4(const Tcp& tcp) {
    return Ethernet{} / Packet(Ipv4{}) / tcp;
}

Packet tcp6(const Tcp& tcp) {
    return Ethernet{} / Packet(Ipv6{}) / tcp;
}

std::uint64_t flow_hash(const Segment& segment) {
    const auto config = object().read<sw_config>("sw_config", 0);
    __u64 source[2] = {};
    __u64 destination[2] = {};
    std::memcpy(source, segment.source.data(), segment.source.size());
    std::memcpy(destination, segment.destination.data(), segment.destination.size());
    const __u32 ports = htons(static_cast<std::uint16_t>(segment.source_port)) |
                        __u32{htons(static_cast<std::uint16_t>(*segment.port))} << 16;
    return hash_flow(config.hash_key, source, destination, ports, segment.v6 ? SW_IPV6 : SW_IPV4);
}

namespace {

std::uint32_t flow_index(const Segment& segment) {
    return static_cast<std::uint32_t>(flow_hash(segment) >> 32 >> (32 - kFlowShift));
}

}  // namespace

sw_flow_set read_flow_set(const Segment& segment) {
    return object().read<sw_flow_set>("sw_flows", flow_index(segment));
}

void write_flow_set(const Segment& segment, const sw_flow_set& set) {
    object().write("sw_flows", flow_index(segment), set);
}

std::uint64_t flow_entry(const Segment& segment) {
    const std::uint64_t hash = flow_hash(segment);
    const sw_flow_set set = read_flow_set(segment);
    for (const std::uint64_t entry : set.entry)
        if (static_cast<std::uint32_t>(entry) == static_cast<std::uint32_t>(hash) && entry >> 32)
            return entry;
    return 0;
}

void put_flow(const Segment& segment, sw_flow_state state, std::uint8_t options) {
    const std::uint64_t hash = flow_hash(segment);
    sw_flow_set set = read_flow_set(segment);
    __u64* place = &set.entry[sw_flow_way(hash)];
    for (__u64& entry : set.entry)
        if (static_cast<std::uint32_t>(entry) == static_cast<std::uint32_t>(hash)) place = &entry;
    *place =
        sw_flow_entry(static_cast<std::uint32_t>(hash), options, state, static_cast<std::uint32_t>(ticks()));
    write_flow_set(segment, set);
}

void clear_flows() {
    for (std::uint32_t i = 0; i < 1u << kFlowShift; ++i) object().write("sw_flows", i, sw_flow_set{});
}

std::size_t count_flows() {
    std::size_t count = 0;
    for (std::uint32_t i = 0; i < 1u << kFlowShift; ++i)
        for (const std::uint64_t entry : object().read<sw_flow_set>("sw_flows", i).entry) count += entry != 0;
    return count;
}

}  // namespace synward::bpf_test
