// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cstring>
#include <memory>

#include "reply.h"

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
    object().clear("sw_flows4");
    object().clear("sw_flows6");
    object().write("sw_cpu", static_cast<std::uint32_t>(pinned_cpu() % SW_CPUS), *std::make_unique<sw_cpu>());
    fill_filter(Filter::empty);
    store();
    epoch_ = epoch();
}

void BpfTest::TearDown() {
    const auto elsewhere = counters.changes_elsewhere();
    EXPECT_TRUE(elsewhere.empty()) << "counters of services that do not exist moved: "
                                   << Counters::text(elsewhere);
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

}  // namespace synward::bpf_test
