// SPDX-License-Identifier: GPL-2.0-or-later
#include "program.h"

#include <fmt/format.h>

#include <algorithm>

#include "cpu.h"
#include "lib/reasons.h"
#include "output.h"
#include "subject.h"

namespace synward::bench {
namespace {

constexpr size_t kCookies = 65536;

class Session {
  public:
    explicit Session(const ProgramOptions& options) : options_(options) {}

    std::vector<Measured> run() {
        pin_to_cpu(options_.cpu);
        auto peers = open_peers(options_.peers);
        for (const uint32_t id : options_.ids) peers.push_back(Peer::id(fmt::format("id {}", id), id));
        for (const auto& path : options_.pinned) peers.push_back(Peer::pinned(path, path));
        for (const auto& name : options_.interfaces) peers.push_back(Peer::attached(name));
        if (options_.synward) measure_synward();
        for (const auto& peer : peers) measure_peer(peer);
        return std::move(results_);
    }

  private:
    bool wanted(const std::string& name) const { return name.find(options_.filter) != std::string::npos; }

    Measured& add(const std::string& program, const Case& one, const Cost& cost) {
        progress(fmt::format("{} {}: {}: {:.1f} ns", program, family_name(one.family), one.name, cost.ns));
        results_.push_back({program, one.name, one.family, cost, one.budget});
        return results_.back();
    }

    // One case of synward, with the proof that its packets went the way they should.
    void take(Runner& runner, Subject& subject, const Case& one,
              const std::function<void()>& before_round = {}) {
        if (!wanted(one.name)) return;
        subject.count();
        const Cost cost = runner.measure(subject.program(), one.stream, before_round);
        const Counters counted = subject.count();
        uint64_t sum = 0;
        for (const uint64_t n : counted) sum += n;
        const auto most =
            static_cast<size_t>(std::max_element(counted.begin(), counted.end()) - counted.begin());
        Measured& result = add("synward", one, cost);
        result.way = reason_name(static_cast<unsigned>(most));
        result.share = sum ? static_cast<double>(counted[most]) / static_cast<double>(sum) : 0;
        result.as_expected = most == static_cast<size_t>(one.reason) && result.share > 0.98;
    }

    void measure_synward() {
        Subject subject(options_.object);
        const Netns::Inside inside(subject.netns());
        RunnerOptions runner_options = options_.runner;
        runner_options.interface = subject.interface();
        Runner runner(runner_options);
        for (const sw_family family : options_.families) {
            const Target& target = subject.target();
            for (const auto& one : syn_cases(target, family)) take(runner, subject, one);
            take(runner, subject, bad_ack_case(target, family));
            take_good_ack(runner, subject, family);
            take_flows(runner, subject, family);
            take(runner, subject, free_port_case(target, family));
            take(runner, subject,
                 {"established packet, nothing armed", family, 0, ack(target, family, target.idle_port, true),
                  SW_REASON_SERVICE_IDLE});
            take_denied(runner, subject, family);
        }
    }

    void take_good_ack(Runner& runner, Subject& subject, sw_family family) {
        Case one = good_ack_case(subject.target(), family, {});
        if (!wanted(one.name)) return;
        one.stream.entries = harvest(runner, subject.program(), subject.target(), family, kCookies);
        if (one.stream.entries.empty())
            throw std::runtime_error("synward answers no SYN: no cookies to return");
        take(runner, subject, one, [&] { subject.forget(); });
        subject.forget();
    }

    void take_flows(Runner& runner, Subject& subject, sw_family family) {
        const std::pair<size_t, double> sizes[] = {{256, 20}, {16384, 45}};
        for (const auto& [count, budget] : sizes) {
            Case one{fmt::format("known flow, {} flows", count), family, budget,
                     ack(subject.target(), family, subject.target().port, true), SW_REASON_FLOW_KNOWN};
            one.stream.entries = random_entries(family, count);
            one.stream.any_entry = true;
            if (!wanted(one.name)) continue;
            subject.know(family, one.stream.entries);
            take(runner, subject, one);
            subject.forget();
        }
    }

    void take_denied(Runner& runner, Subject& subject, sw_family family) {
        const auto denied = random_entries(family, 1024);
        Case one{"denied source, 1k entries", family, 20,
                 syn(subject.target(), family, usual_layouts().front().options), SW_REASON_SOURCE_DENIED};
        one.stream.entries = denied;
        one.stream.any_entry = true;
        const auto beside = syn_cases(subject.target(), family).front();
        Case with = beside, difference = beside;
        with.name = "SYN answered, linux, 1k denied";
        with.budget = 0;
        difference.name = "1k denied: cost for everybody else";
        difference.budget = 3;
        if (!wanted(one.name) && !wanted(with.name) && !wanted(difference.name)) return;
        subject.deny(family, denied);
        take(runner, subject, one);
        take(runner, subject, with);
        if (wanted(difference.name)) {
            // a few ns are asked for: both in turn, so that a noisy moment does not hit one of them alone
            Cost cost{.ns = 1e9}, without{.ns = 1e9};
            for (int turn = 0; turn < 4; ++turn) {
                subject.deny(family, denied);
                cost.ns = std::min(cost.ns, runner.measure(subject.program(), with.stream).ns);
                subject.deny(family, {});
                without.ns = std::min(without.ns, runner.measure(subject.program(), beside.stream).ns);
            }
            cost.ns -= without.ns;
            add("synward", difference, cost);
        }
        subject.deny(family, {});
    }

    void measure_peer(const Peer& peer) {
        Target target;
        target.address[SW_IPV4] = parse_address(options_.to4.empty() ? "198.18.0.1" : options_.to4);
        target.address[SW_IPV6] = parse_address(options_.to6.empty() ? "2001:db8::1" : options_.to6);
        if (!options_.to_mac.empty()) target.mac = parse_mac(options_.to_mac);
        target.port = options_.port;
        // a peer may look sockets up too: it gets the same listeners
        const Netns netns;
        const Netns::Inside inside(netns);
        netns.ip(fmt::format("addr add {} dev lo", target.address[SW_IPV4].to_string()));
        netns.ip(fmt::format("addr add {} dev lo nodad", target.address[SW_IPV6].to_string()));
        const Fd listener = listen_on(target.port);
        Runner runner(options_.runner);
        for (const sw_family family : options_.families) {
            auto cases = syn_cases(target, family);
            cases.push_back(bad_ack_case(target, family));
            if (auto entries = harvest(runner, peer.program(), target, family, kCookies); !entries.empty()) {
                auto one = good_ack_case(target, family, std::move(entries));
                one.name = "ACK, good cookie";  // whatever the peer remembers stays
                cases.push_back(std::move(one));
            }
            cases.push_back(free_port_case(target, family));
            for (const auto& one : cases) {
                if (!wanted(one.name)) continue;
                const Cost cost = runner.measure(peer.program(), one.stream);
                Measured& result = add(peer.name(), one, cost);
                const char* const actions[] = {"aborted", "drop", "pass", "tx", "redirect"};
                result.way = cost.action < 5 ? actions[cost.action] : "?";
            }
        }
    }

    const ProgramOptions& options_;
    std::vector<Measured> results_;
};

}  // namespace

std::vector<Measured> measure_programs(const ProgramOptions& options) {
    return Session(options).run();
}

}  // namespace synward::bench
