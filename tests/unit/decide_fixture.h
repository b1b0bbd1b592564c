// SPDX-License-Identifier: GPL-2.0-or-later
// One chain with its state, and events to give it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lib/decide/chain.h"
#include "lib/decide/trace.h"

namespace synward {

inline constexpr std::uint64_t second = 1'000'000'000;

struct DecideTest : testing::Test {
    // Port 443 is service 3, 80 is service 2; what nobody decides is dropped, of service 2 accepted.
    void SetUp() override {
        CompiledPolicy policy;
        policy.ports[443] = 3;
        policy.ports[80] = 2;
        policy.services[0].escalate_default = SW_ACTION_DROP;
        policy.services[3].escalate_default = SW_ACTION_DROP;
        ASSERT_TRUE(shared().services.load(policy));
    }

    // Made at first use, so that a test may change `config` before.
    DecideShared& shared() {
        if (!shared_) shared_ = std::make_unique<DecideShared>(config, keys);
        return *shared_;
    }
    Chain& chain() {
        if (!chain_) {
            EXPECT_TRUE(check(config));
            chain_ = std::make_unique<Chain>(config, shared(), keys);
        }
        return *chain_;
    }

    static RawAddress raw(const std::string& text) { return raw_address(*Address::parse(text)); }

    static FlowEvent event(EventKind kind, const std::string& source, std::uint16_t port = 40000) {
        FlowEvent e;
        e.id = 7;
        e.kind = kind;
        e.family = Address::parse(source)->family;
        e.source = raw(source);
        e.destination = raw(e.family == SW_IPV4 ? "203.0.113.1" : "2001:db8::1");
        e.source_port = port;
        e.destination_port = 443;
        e.shape.family = static_cast<std::uint8_t>(e.family);
        return e;
    }
    static FlowEvent shaped(EventKind kind, const std::string& source, std::uint64_t layout) {
        FlowEvent e = event(kind, source);
        e.shape.layout = layout;
        e.shape.header = 40;
        e.shape.hops = 64;
        return e;
    }

    Decision decide(const FlowEvent& e, std::uint64_t now) {
        Decision d;
        chain().decide(e, now, d);
        return d;
    }
    void handshakes(const std::string& source, unsigned count, std::uint64_t now) {
        for (unsigned i = 0; i < count; i++) (void)decide(event(EventKind::handshake, source), now);
    }
    // The kernel has these connections and no other.
    void know(std::initializer_list<FlowEvent> flows, std::uint64_t now) {
        shared().flows.begin();
        for (const FlowEvent& e : flows)
            shared().flows.add({e.source, e.destination, e.source_port, e.destination_port, e.family});
        shared().flows.finish(now);
    }

    DecideConfig config;
    KeySource keys{42};

  private:
    std::unique_ptr<DecideShared> shared_;
    std::unique_ptr<Chain> chain_;
};

// The tickets and set entries of a decision, in words: "stray drop 192.0.2.1", "shape pass", "deny
// 192.0.2.1/32".
inline std::vector<std::string> words(const Decision& decision, bool wanted = false) {
    std::vector<std::string> list;
    for (const Action& a : wanted ? decision.wanted_actions() : decision.actions()) {
        const std::string source = to_address(a.source, a.family).to_string();
        if (a.kind == Action::Kind::set) {
            list.push_back("deny " + source + "/" + std::to_string(a.length));
        } else if (a.kind == Action::Kind::ticket) {
            const std::string action = a.ticket_action == SW_ACTION_DROP ? " drop" : " pass";
            const auto doubt = static_cast<sw_doubt>(a.key.doubt);
            list.push_back(std::string(doubt_name(doubt)) + action +
                           (doubt == SW_DOUBT_SHAPE ? std::string() : " " + source));
        }
    }
    return list;
}

}  // namespace synward
