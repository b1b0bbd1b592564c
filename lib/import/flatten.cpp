// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/flatten.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>

namespace synward {
namespace {

constexpr std::size_t most_rules = 4'000'000;
constexpr std::size_t most_steps = 20'000'000;
constexpr std::size_t most_told = 20;
constexpr unsigned deepest = 16;  // as the kernel allows

struct WaySource {
    Block block;
    std::uint32_t timeout = 0;  // as in RuleSource
};

// What a packet must fulfil to be where the reading is.
struct Way {
    std::vector<WaySource> sources{WaySource{}};
    std::vector<int> interfaces{any_interface};
    std::vector<std::optional<ServiceRange>> services{std::nullopt};
};

// Of two timeouts, 0 being none.
std::uint32_t sooner(std::uint32_t a, std::uint32_t b) {
    return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

class Flattener {
  public:
    Flattener(const Ruleset& ruleset, sw_family family) : ruleset_(ruleset) {
        result_.family = family;
        result_.drops = ruleset.chains[*ruleset.entry(family)].drops;
    }

    Result<LinearRules> run() {
        walk(*ruleset_.entry(result_.family), Way{}, 0);
        if (refused_ == 0) return std::move(result_);
        if (refused_ > most_told) message_ += fmt::format("\n... and {} rules more", refused_ - most_told);
        return fail(ErrorCode::config, fmt::format("{} {} cannot be expressed by sets:{}", refused_,
                                                   refused_ == 1 ? "rule" : "rules", message_));
    }

  private:
    void refuse(const SourceChain& chain, const SourceRule& rule, std::string_view why) {
        if (++refused_ <= most_told)
            message_ += fmt::format("\n{}: {}\n    {}", ruleset_.place(chain, rule), why, rule.text);
    }

    void walk(std::size_t index, const Way& way, unsigned depth) {
        const SourceChain& chain = ruleset_.chains[index];
        for (std::size_t i = 0; i < chain.rules.size(); i++) {
            const SourceRule& rule = chain.rules[i];
            // Chains that jump to others many times multiply.
            if (++steps_ == most_steps)
                refuse(chain, rule, "with its jumps written out the ruleset is too long");
            if (steps_ >= most_steps) return;
            if (!(result_.family == SW_IPV4 ? rule.match.ipv4 : rule.match.ipv6)) continue;
            if (!rule.refusal.empty()) {
                refuse(chain, rule, rule.refusal);
                continue;
            }
            if (rule.target == RuleTarget::nothing) continue;
            const auto here = narrow(way, rule.match);
            if (!here) continue;
            if (here->sources.size() * here->interfaces.size() * here->services.size() +
                    result_.rules.size() >
                most_rules)
                return refuse(chain, rule, "with its lists and jumps written out the ruleset is too long");
            switch (rule.target) {
                case RuleTarget::accept:
                case RuleTarget::drop:
                    add(*here, rule.target == RuleTarget::drop, index, i);
                    break;
                case RuleTarget::back:
                    if (depth == 0) {
                        add(*here, result_.drops, index, i);
                    } else if (rule.match.sources || rule.match.interfaces || rule.match.services) {
                        refuse(chain, rule, "some packets leave this chain here and others go on in it");
                    } else {
                        return;
                    }
                    break;
                case RuleTarget::jump:
                    if (depth >= deepest)
                        refuse(chain, rule, "the chains jump too deep, or in a circle");
                    else
                        walk(rule.chain, *here, depth + 1);
                    break;
                case RuleTarget::nothing:
                    break;
            }
            if (refused_ > 1000) return;
        }
    }

    int interface_index(const std::string& name) {
        const auto found = std::find(result_.interfaces.begin(), result_.interfaces.end(), name);
        if (found != result_.interfaces.end()) return static_cast<int>(found - result_.interfaces.begin());
        result_.interfaces.push_back(name);
        return static_cast<int>(result_.interfaces.size()) - 1;
    }

    // Nothing if no packet fulfils both.
    std::optional<Way> narrow(const Way& way, const RuleMatch& match) {
        Way here = way;
        if (match.sources) {
            here.sources.clear();
            for (const WaySource& outer : way.sources)
                for (const RuleSource& source : *match.sources) {
                    if (source.prefix.address.family != result_.family) continue;
                    const Block inner = Block::of(source.prefix);
                    const std::uint32_t timeout = sooner(outer.timeout, source.timeout);
                    if (outer.block.contains(inner))
                        here.sources.push_back({inner, timeout});
                    else if (inner.contains(outer.block))
                        here.sources.push_back({outer.block, timeout});
                }
        }
        if (match.interfaces) {
            here.interfaces.clear();
            for (const int outer : way.interfaces)
                for (const std::string& name : *match.interfaces) {
                    const int inner = interface_index(name);
                    if (outer == any_interface || outer == inner) here.interfaces.push_back(inner);
                }
        }
        if (match.services) {
            here.services.clear();
            for (const auto& outer : way.services)
                for (const ServiceRange& inner : *match.services) {
                    // ICMP of the other family begins no connection.
                    if (inner.protocol ==
                        (result_.family == SW_IPV4 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}))
                        continue;
                    if (!outer) {
                        here.services.push_back(inner);
                    } else if (outer->protocol == inner.protocol && outer->first <= inner.last &&
                               inner.first <= outer->last) {
                        here.services.push_back(ServiceRange{inner.protocol,
                                                             std::max(inner.first, outer->first),
                                                             std::min(inner.last, outer->last)});
                    }
                }
        }
        if (here.sources.empty() || here.interfaces.empty() || here.services.empty()) return std::nullopt;
        return here;
    }

    void add(const Way& way, bool drop, std::size_t chain, std::size_t rule) {
        for (const WaySource& source : way.sources)
            for (const int interface : way.interfaces)
                for (const auto& service : way.services) {
                    // No set has both; a rule for each of them is not the same.
                    if (interface != any_interface && service)
                        return refuse(ruleset_.chains[chain], ruleset_.chains[chain].rules[rule],
                                      "no type of set has an interface and a port");
                    result_.rules.push_back(
                        {source.block, interface, service, drop, chain, rule, source.timeout});
                }
    }

    const Ruleset& ruleset_;
    LinearRules result_;
    std::size_t steps_ = 0;
    std::size_t refused_ = 0;
    std::string message_;
};

}  // namespace

Result<LinearRules> flatten(const Ruleset& ruleset, sw_family family) {
    return Flattener(ruleset, family).run();
}

}  // namespace synward
