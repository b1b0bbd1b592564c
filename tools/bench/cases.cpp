// SPDX-License-Identifier: GPL-2.0-or-later
#include "cases.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstring>
#include <random>

namespace synward::bench {
namespace {

std::mt19937_64& generator() {
    static std::mt19937_64 random{std::random_device{}()};
    return random;
}

double syn_budget(sw_family family, bool odd) {
    return odd ? 75 : family == SW_IPV4 ? 45 : 62;
}

}  // namespace

std::string_view family_name(sw_family family) {
    return family == SW_IPV4 ? "IPv4" : "IPv6";
}

Prefix random_sources(sw_family family) {
    return parse_prefix(family == SW_IPV4 ? "128.0.0.0/2" : "2000::/4");
}

Stream syn(const Target& target, sw_family family, const std::vector<uint8_t>& options) {
    Stream stream;
    stream.segment = {.to = target.mac, .destination = target.address[family]};
    stream.segment.source.family = family;
    stream.segment.destination_port = target.port;
    stream.segment.options = options;
    stream.source = random_sources(family);
    return stream;
}

Stream ack(const Target& target, sw_family family, uint16_t port, bool timestamps) {
    Stream stream =
        syn(target, family, timestamps ? timestamp_options(0x1a2b3c4d, 0) : std::vector<uint8_t>{});
    stream.segment.flags = kAck;
    stream.segment.destination_port = port;
    stream.random_ack = true;
    return stream;
}

std::vector<Case> syn_cases(const Target& target, sw_family family) {
    std::vector<Case> cases;
    for (const auto& layout : usual_layouts())
        cases.push_back({fmt::format("SYN answered, {}", layout.name), family, syn_budget(family, false),
                         syn(target, family, layout.options), SW_REASON_SYN_ANSWERED});
    cases.push_back({"SYN answered, odd order", family, syn_budget(family, true),
                     syn(target, family, odd_layout().options), SW_REASON_SYN_ANSWERED});
    return cases;
}

Case bad_ack_case(const Target& target, sw_family family) {
    return {"ACK, wrong cookie", family, family == SW_IPV4 ? 50.0 : 65.0,
            ack(target, family, target.port, false), SW_REASON_STRAY_ACK};
}

Case free_port_case(const Target& target, sw_family family) {
    return {"unprotected port", family, 8, ack(target, family, target.free_port, false),
            SW_REASON_NO_SERVICE};
}

std::vector<bench_entry> random_entries(sw_family family, size_t count) {
    const Prefix prefix = random_sources(family);
    std::vector<bench_entry> entries(count);
    for (auto& entry : entries) {
        uint32_t words[4];
        memcpy(words, prefix.address.bytes.data(), sizeof(words));
        const auto first = static_cast<uint32_t>(generator()()) & (UINT32_MAX >> prefix.length);
        words[0] |= htonl(first);
        if (family == SW_IPV6)
            for (int i = 1; i < 4; ++i) words[i] = static_cast<uint32_t>(generator()());
        memcpy(entry.source, words, sizeof(words));
        entry.port = htons(static_cast<uint16_t>(generator()() | 1024));
        entry.seq = static_cast<uint32_t>(generator()());
        entry.ack = static_cast<uint32_t>(generator()());
    }
    return entries;
}

std::vector<bench_entry> harvest(const Runner& runner, int program, const Target& target, sw_family family,
                                 size_t count) {
    auto entries = random_entries(family, count);
    auto segment = syn(target, family, usual_layouts().front().options).segment;
    for (auto& entry : entries) {
        memcpy(segment.source.bytes.data(), entry.source, size_of(segment.source));
        segment.source_port = ntohs(entry.port);
        segment.sequence = ntohl(entry.seq);
        const Outcome outcome = runner.run_once(program, compose(segment));
        Reply reply;
        if (outcome.action != XDP_TX || !read_reply(outcome.frame, reply) || reply.flags != (kSyn | kAck))
            return {};
        entry.seq = htonl(segment.sequence + 1);
        entry.ack = htonl(reply.sequence + 1);
        entry.echo = htonl(reply.timestamp);
    }
    return entries;
}

Case good_ack_case(const Target& target, sw_family family, std::vector<bench_entry> entries) {
    Case result{"ACK, good cookie, first time", family, 250, ack(target, family, target.port, true),
                SW_REASON_ACK_VALIDATED};
    result.stream.entries = std::move(entries);
    result.stream.echo = true;
    return result;
}

}  // namespace synward::bench
