// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "lib/classify/fate_rule.h"
#include "lib/classify/mangle_rules.h"
#include "lib/classify/module_marker.h"
#include "process.h"

namespace synward::bench {
namespace {

constexpr uint32_t kFirst = 0x0a000000;  // 10.0.0.0 and up: only in the lab's own namespace
constexpr const char* kSet = "bench4";

std::string address(uint32_t n) {
    const uint32_t a = kFirst + n;
    return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

// nft_rules() and iptables_rules(): one rule for each address, as rulesets grow by hand.
void nft_rules(uint32_t entries, bool established_first) {
    std::string text =
        "table inet admin { chain input { type filter hook input priority filter; policy accept;\n";
    if (established_first) text += "ct state established,related accept\n";
    for (uint32_t n = 0; n < entries; ++n) text += fmt::format("ip saddr {} drop\n", address(n));
    run_command({"nft", "-f", "-"}, text + "}\n}\n");
}

void iptables_rules(uint32_t entries) {
    std::string text = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n";
    for (uint32_t n = 0; n < entries; ++n) text += fmt::format("-A INPUT -s {}/32 -j DROP\n", address(n));
    run_command({"iptables-legacy-restore", "-w"}, text + "COMMIT\n");
}

// The usual way with sets, without marks: every packet is looked up.
void nft_set(uint32_t entries) {
    std::string text = "table inet admin { set deny { type ipv4_addr; elements = {\n";
    for (uint32_t n = 0; n < entries; ++n) text += address(n) + ",\n";
    run_command({"nft", "-f", "-"},
                text +
                    "} }\n chain input { type filter hook input priority filter; policy accept;\n"
                    "ip saddr @deny drop\n}\n}\n");
}

void make_set(const std::string& type, uint32_t entries) {
    std::string text = fmt::format("create {} {} family inet hashsize {} maxelem {} skbinfo\n", kSet, type,
                                   std::bit_ceil(std::max(entries, 1024u)), std::max(entries, 65536u));
    for (uint32_t n = 0; n < entries; ++n)
        text += fmt::format("add {} {} skbmark 0xd/0xff\n", kSet, address(n));
    run_command({"ipset", "restore"}, text);
}

void ipset_match(const std::string& type, uint32_t entries) {
    make_set(type, entries);
    run_command({"iptables-legacy-restore", "-w"},
                fmt::format("*filter\n-A INPUT -m set --match-set {} src -j DROP\nCOMMIT\n", kSet));
}

void one_rule(const std::string& type, uint32_t entries, Marker marker) {
    make_set(type, entries);
    if (const auto made = install_fate_rule(Fates()); !made) throw std::runtime_error(made.error().message);
    const std::vector<BoundSet> sets{
        {.name = kSet, .type = type.substr(0, type.find(' ')), .family = SW_IPV4}};
    if (marker == Marker::kModule) {
        if (const auto bound = bind_module(sets); !bound) throw std::runtime_error(bound.error().message);
    } else if (const auto made = install_mangle_rules(sets); !made) {
        throw std::runtime_error(made.error().message);
    }
}

}  // namespace

std::string Ruleset::name() const {
    return entries == 0 ? kind : fmt::format("{}, {}", kind, entries);
}

std::vector<Ruleset> all_rulesets(const RulesetChoice& choice) {
    std::vector<Ruleset> all;
    const auto last = [](uint32_t entries) { return Denied{.first = kFirst + entries - 1, .count = 1}; };
    const auto any = [](uint32_t entries) { return Denied{.first = kFirst, .count = entries}; };
    const auto add = [&](Ruleset ruleset) {
        if (choice.only.empty() || std::ranges::find(choice.only, ruleset.kind) != choice.only.end())
            all.push_back(std::move(ruleset));
    };
    add({.kind = "no rules, nothing tracked", .tracked = false, .denied = {}, .install = [] {}});
    add({.kind = "no rules", .denied = {}, .install = [] {}});
    for (const uint32_t n : choice.linear)
        add({.kind = "nft rules", .entries = n, .linear = true, .denied = last(n), .install = [n] {
                 nft_rules(n, false);
             }});
    for (const uint32_t n : choice.linear)
        add({.kind = "iptables rules", .entries = n, .linear = true, .denied = last(n), .install = [n] {
                 iptables_rules(n);
             }});
    if (!choice.linear.empty())
        add({.kind = "nft rules behind established",
             .entries = choice.linear.back(),
             .denied = last(choice.linear.back()),
             .install = [n = choice.linear.back()] { nft_rules(n, true); }});
    const auto type = choice.set_type;
    // What people do today; by its growth one sees what the kernel's own sets cost.
    for (const uint32_t n : choice.sets)
        add({.kind = "nft set", .entries = n, .set = true, .denied = any(n), .install = [n] { nft_set(n); }});
    for (const uint32_t n : choice.sets)
        add({.kind = "iptables, ipset match",
             .entries = n,
             .set = true,
             .denied = any(n),
             .install = [n, type] { ipset_match(type, n); }});
    for (const Marker marker : {Marker::kMangle, Marker::kModule}) {
        if (marker == Marker::kModule && !choice.module) continue;
        for (const uint32_t n : choice.sets)
            add({.kind = marker == Marker::kMangle ? "one rule, mangle" : "one rule, module",
                 .entries = n,
                 .one_rule = true,
                 .set = true,
                 .denied = any(n),
                 .install = [=] { one_rule(type, n, marker); }});
    }
    return all;
}

}  // namespace synward::bench
