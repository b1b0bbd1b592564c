// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/verify.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <unordered_map>

#include "lib/abi/genetlink.h"
#include "lib/import/evaluate.h"
#include "lib/import/sweep.h"

namespace synward {
namespace {

constexpr std::size_t one_by_one_steps = 50'000'000;
static_assert(SW_NL_SETS_MAX <= 64, "the sweep has a bit for each set");

using Item = SweepItem;

class Verifier {
  public:
    Verifier(const Ruleset& ruleset, const LinearRules& rules, const std::vector<PlannedSet>& sets,
             const ProofOptions& options, Proof& proof)
        : ruleset_(ruleset),
          rules_(rules),
          sets_(sets),
          options_(options),
          proof_(proof),
          index_(rules),
          search_(sets, rules.family),
          random_(options.seed ^ (rules.family == SW_IPV4 ? 0 : 0x5bd1e995)) {}

    void run() {
        name_classes();
        std::set<std::uint32_t> moments;
        for (const LinearRule& rule : rules_.rules) moments.insert(rule.timeout);
        moments.erase(0);
        moments_.assign(moments.begin(), moments.end());
        prove();
        if (!proof_.counterexample) ask_boundaries();
        if (!proof_.counterexample) ask_random();
    }

  private:
    // The interfaces and the ranges of ports that anything names; an empty name and
    // `nothing` stand for all others.
    void name_classes() {
        std::set<std::string> names{""};
        names.insert(rules_.interfaces.begin(), rules_.interfaces.end());
        std::map<std::uint8_t, std::set<unsigned>> cuts;
        const auto cut = [&](const std::optional<ServiceRange>& service) {
            if (!service) return;
            cuts[service->protocol].insert(service->first);
            cuts[service->protocol].insert(service->last + 1U);
        };
        for (const LinearRule& rule : rules_.rules) cut(rule.service);
        for (const PlannedSet& set : sets_) {
            if (set.family != rules_.family) continue;
            for (const PlannedEntry& entry : set.entries) {
                names.insert(entry.interface);
                cut(entry.service);
            }
        }
        interfaces_.assign(names.begin(), names.end());
        for (auto& [protocol, at] : cuts) {
            // What is between begins no connection, if it is ICMP.
            for (const ServiceRange& whole : whole_protocol(protocol)) {
                at.insert(whole.first);
                at.insert(whole.last + 1U);
            }
            for (auto first = at.begin(); std::next(first) != at.end(); ++first)
                for (const ServiceRange& whole : whole_protocol(protocol))
                    if (whole.first <= *first && *first <= whole.last)
                        services_.push_back({protocol, static_cast<std::uint16_t>(*first),
                                             static_cast<std::uint16_t>(*std::next(first) - 1)});
        }
        std::sort(services_.begin(), services_.end());
    }

    void prove() {
        std::vector<Item> common;
        std::vector<std::pair<std::string_view, Item>> of_interface;
        std::vector<std::vector<Item>> of_service(services_.size());
        std::size_t steps = 0;
        const auto sort_in = [&](const Item& item, std::string_view interface,
                                 const std::optional<ServiceRange>& service) {
            if (service) {
                auto range = std::lower_bound(services_.begin(), services_.end(),
                                              ServiceRange{service->protocol, service->first, 0});
                for (; range != services_.end() && range->protocol == service->protocol &&
                       range->last <= service->last && steps <= options_.most_steps;
                     ++range, ++steps)
                    of_service[static_cast<std::size_t>(range - services_.begin())].push_back(item);
            } else if (interface.empty()) {
                common.push_back(item);
            } else {
                of_interface.emplace_back(interface, item);
            }
        };
        for (std::size_t i = 0; i < rules_.rules.size(); i++) {
            const LinearRule& rule = rules_.rules[i];
            const std::string_view interface =
                rule.interface == any_interface ? std::string_view()
                                                : rules_.interfaces[static_cast<std::size_t>(rule.interface)];
            sort_in({rule.source, static_cast<std::uint32_t>(i), Item::Kind::rule, rule.drop, rule.timeout},
                    interface, rule.service);
        }
        for (std::size_t i = 0; i < sets_.size(); i++) {
            if (sets_[i].family != rules_.family) continue;
            const auto rank = static_cast<std::uint32_t>(i);
            for (const PlannedEntry& entry : sets_[i].entries)
                sort_in({entry.source, rank, Item::Kind::entry, entry.drop, entry.timeout}, entry.interface,
                        entry.service);
            if (sets_[i].kind == SetKind::net_iface)
                each_hidden(sets_[i],
                            [&](const Block& source, std::string_view interface, std::uint32_t timeout) {
                                of_interface.emplace_back(
                                    interface, Item{source, rank, Item::Kind::hidden, false, timeout});
                            });
        }
        std::sort(common.begin(), common.end(), sweeps_in_order);
        for (auto& items : of_service) std::sort(items.begin(), items.end(), sweeps_in_order);

        for (const std::string& interface : interfaces_) {
            std::vector<Item> own;
            for (const auto& [name, item] : of_interface)
                if (name == interface) own.push_back(item);
            std::sort(own.begin(), own.end(), sweeps_in_order);
            std::vector<Item> base;
            std::merge(common.begin(), common.end(), own.begin(), own.end(), std::back_inserter(base),
                       sweeps_before);
            proof_.classes++;
            prove_window(base, Block{}, interface, std::nullopt);
            const Lengths lengths = lengths_of(base);
            for (std::size_t i = 0; i < services_.size() && !proof_.counterexample; i++) {
                // The same rules and entries as for the ports before: the same class.
                if (i > 0 && services_[i].protocol == services_[i - 1].protocol &&
                    of_service[i] == of_service[i - 1])
                    continue;
                proof_.classes++;
                if (!prove_service(base, lengths, of_service[i], interface, services_[i], steps)) {
                    proof_.whole = false;
                    return;
                }
            }
        }
    }

    // Where a search of the set ends by a network that is there for other interfaces, before
    // one that it has for this one. Calls with both, and for how long that is so.
    template <typename Take>
    static void each_hidden(const PlannedSet& set, const Take& take) {
        std::map<Block, std::vector<const PlannedEntry*>> networks;
        std::set<std::string_view> names;
        for (const PlannedEntry& entry : set.entries) {
            networks[entry.source].push_back(&entry);
            names.insert(entry.interface);
        }
        for (const std::string_view name : names) {
            std::vector<Block> around;  // networks of this interface
            for (const auto& [source, entries] : networks) {
                while (!around.empty() && !around.back().contains(source)) around.pop_back();
                const PlannedEntry* own = nullptr;
                std::uint32_t others = 0;
                bool others_stay = false;
                for (const PlannedEntry* entry : entries) {
                    if (entry->interface == name) {
                        own = entry;
                    } else {
                        others = std::max(others, entry->timeout);
                        others_stay |= entry->timeout == 0;
                    }
                }
                const bool is_there = others_stay || others != 0;
                if (!around.empty() && is_there && (!own || own->timeout != 0))
                    take(source, name, others_stay ? 0 : others);
                if (own) around.push_back(source);
            }
        }
    }

    using Lengths = std::array<bool, 129>;
    static Lengths lengths_of(const std::vector<Item>& items) {
        Lengths lengths{};
        for (const Item& item : items) lengths[item.source.length] = true;
        return lengths;
    }

    // Where no rule and no entry is about these ports, all is as for other ports: only the
    // widest prefixes of those that are, each with what is in it and around it, are left.
    // False: that takes too long.
    bool prove_service(const std::vector<Item>& base, const Lengths& lengths, const std::vector<Item>& own,
                       const std::string& interface, const ServiceRange& service, std::size_t& steps) {
        std::vector<Item> items;
        for (auto at = own.begin(); at != own.end();) {
            const Block window = at->source;
            auto end = at;
            while (end != own.end() && window.contains(end->source)) ++end;
            items.clear();
            for (unsigned length = 0; length < window.length; length++) {
                if (!lengths[length]) continue;
                const Item around{window.widened(length)};
                for (auto item = std::lower_bound(base.begin(), base.end(), around, sweeps_before);
                     item != base.end() && item->source == around.source; ++item) {
                    items.push_back(*item);
                    items.back().source = window;  // the part that matters
                }
            }
            const auto inside = std::lower_bound(base.begin(), base.end(), Item{window}, sweeps_before);
            auto behind = std::partition_point(
                inside, base.end(), [&](const Item& item) { return item.source.first <= window.last(); });
            std::merge(inside, behind, at, end, std::back_inserter(items), sweeps_before);
            steps += items.size() + 20;
            if (steps > options_.most_steps) return false;
            prove_window(items, window, interface, service);
            if (proof_.counterexample) return true;
            at = end;
        }
        return true;
    }

    void prove_window(const std::vector<Item>& items, const Block& window, const std::string& interface,
                      const std::optional<ServiceRange>& service) {
        if (proof_.counterexample) return;
        const auto differs = sweep_regions(items, window, rules_.drops, proof_.regions);
        if (!differs) return;
        TestPacket packet{rules_.family, differs->source & ~(address_step(rules_.family) - 1), interface};
        packet.after = differs->after;
        set_service(packet, service);
        report(packet);
    }

    void set_service(TestPacket& packet, const std::optional<ServiceRange>& service) const {
        if (service) {
            packet.protocol = service->protocol;
            packet.port = service->first;
            return;
        }
        // A protocol that nothing names; there are 256 of them.
        packet.protocol = 253;
        while (packet.protocol > 1 &&
               std::any_of(services_.begin(), services_.end(),
                           [&](const ServiceRange& range) { return range.protocol == packet.protocol; }))
            packet.protocol--;
        packet.port = 0;
    }

    void ask(const TestPacket& packet) {
        const bool ruleset = index_.drops(packet);
        const PlannedEntry* entry = search_.find(packet);
        if (ruleset != (entry && entry->drop)) report(packet);
    }

    void report(const TestPacket& packet) {
        if (proof_.counterexample) return;
        const RulesetVerdict verdict = ask_ruleset(ruleset_, packet);
        const PlannedEntry* entry = search_.find(packet);
        const std::string who =
            verdict.rule
                ? fmt::format("{}: {}", ruleset_.place(*verdict.chain, *verdict.rule), verdict.rule->text)
                : std::string("its policy");
        proof_.counterexample =
            fmt::format("{}: the ruleset {} it ({}), the sets {} it ({})", packet_text(packet),
                        verdict.drop ? "drops" : "accepts", who, entry && entry->drop ? "drop" : "accept",
                        entry ? "the entry " + entry->source.prefix(packet.family).to_string() : "no entry");
    }

    std::uint64_t number(std::uint64_t below) { return random_() % below; }

    AddressNumber any_address() {
        const AddressNumber bits = AddressNumber(random_()) << 64 | random_();
        return bits & ~(address_step(rules_.family) - 1);
    }

    const std::string& any_name() { return interfaces_[number(interfaces_.size())]; }

    std::optional<ServiceRange> any_service() {
        const std::uint64_t choice = number(services_.size() + 1);
        if (choice == services_.size()) return std::nullopt;
        return services_[choice];
    }

    // Now, or when something has expired.
    std::uint32_t any_moment() {
        if (moments_.empty() || number(2) == 0) return 0;
        return moments_[number(moments_.size())];
    }

    // The edges of every rule's addresses with the edges of its ports, or with some ports.
    void ask_boundaries() {
        const AddressNumber step = address_step(rules_.family);
        for (const LinearRule& rule : rules_.rules) {
            const AddressNumber last = rule.source.last() & ~(step - 1);
            for (const AddressNumber source :
                 {rule.source.first - step, rule.source.first, last, last + step}) {
                TestPacket packet{rules_.family, source, {}};
                packet.after = any_moment();
                if (rule.interface != any_interface)
                    packet.interface = rules_.interfaces[static_cast<std::size_t>(rule.interface)];
                const auto ask_port = [&](std::uint8_t protocol, unsigned port) {
                    packet.protocol = protocol;
                    packet.port = static_cast<std::uint16_t>(port);
                    // No connection begins with other types of ICMP, or with ports where there are none.
                    for (const ServiceRange& whole : whole_protocol(protocol))
                        if (whole.first <= packet.port && packet.port <= whole.last) {
                            proof_.boundary++;
                            return ask(packet);
                        }
                };
                if (rule.service) {
                    for (const unsigned port : {rule.service->first - 1U, rule.service->first + 0U,
                                                rule.service->last + 0U, rule.service->last + 1U})
                        ask_port(rule.service->protocol, port);
                }
                for (unsigned i = 0; i < 2; i++) {
                    // What one interface has may hide what another has.
                    if (i && rule.interface != any_interface) packet.interface = any_name();
                    set_service(packet, i ? any_service() : std::nullopt);
                    ask_port(packet.protocol, packet.port);
                }
                if (proof_.counterexample) return;
            }
        }
    }

    // Half of them near the rules: elsewhere little happens.
    TestPacket random_packet() {
        TestPacket packet{rules_.family, any_address(), {}};
        packet.after = any_moment();
        std::optional<ServiceRange> service = any_service();
        if (!rules_.rules.empty() && number(2)) {
            const LinearRule& rule = rules_.rules[number(rules_.rules.size())];
            packet.source = (packet.source & (Block{0, rule.source.length}.last())) | rule.source.first;
            if (rule.service && number(4)) service = rule.service;
        }
        packet.interface = any_name();
        set_service(packet, service);
        if (service)
            packet.port =
                static_cast<std::uint16_t>(service->first + number(service->last - service->first + 1U));
        return packet;
    }

    void ask_random() {
        const std::size_t slow = one_by_one_steps / (rules_.rules.size() + 1);
        for (std::size_t i = 0; i < options_.random_packets && !proof_.counterexample; i++) {
            const TestPacket packet = random_packet();
            proof_.random++;
            ask(packet);
            if (i >= slow) continue;
            proof_.one_by_one++;
            const PlannedEntry* entry = search_.find(packet);
            if (ask_ruleset(ruleset_, packet).drop != (entry && entry->drop)) report(packet);
        }
    }

    const Ruleset& ruleset_;
    const LinearRules& rules_;
    const std::vector<PlannedSet>& sets_;
    const ProofOptions& options_;
    Proof& proof_;
    RuleIndex index_;
    SetSearch search_;
    std::mt19937_64 random_;
    std::vector<std::string> interfaces_;
    std::vector<ServiceRange> services_;
    std::vector<std::uint32_t> moments_;  // when something expires
};

}  // namespace

std::string packet_text(const TestPacket& packet) {
    std::string text =
        fmt::format("a packet from {}", number_address(packet.source, packet.family).to_string());
    if (!packet.interface.empty()) text += fmt::format(" in by {}", packet.interface);
    if (has_ports(packet.protocol))
        text += fmt::format(" to {} port {}", protocol_word(packet.protocol), packet.port);
    else if (is_icmp(packet.protocol))
        text += fmt::format(" with {} type {} code {}", protocol_word(packet.protocol), packet.port >> 8,
                            packet.port & 0xff);
    else
        text += fmt::format(" of protocol {}", packet.protocol);
    if (packet.after != 0) text += fmt::format(", {} s later", packet.after);
    return text;
}

void verify(const Ruleset& ruleset, const LinearRules& rules, const std::vector<PlannedSet>& sets,
            const ProofOptions& options, Proof& proof) {
    Verifier(ruleset, rules, sets, options, proof).run();
}

}  // namespace synward
