// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/config.h"

#include <fmt/format.h>

#include <string_view>

#include "lib/abi/metadata.h"
#include "lib/printable.h"

namespace synward {
namespace {

using std::chrono::milliseconds;

class Checker {
  public:
    void number(std::string_view name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
        if (value < least || value > most)
            complain("{} is {}; allowed are {} to {}", name, value, least, most);
    }
    void time(std::string_view name, milliseconds value, milliseconds least, milliseconds most) {
        if (value < least || value > most)
            complain("{} is {} ms; allowed are {} to {} ms", name, value.count(), least.count(),
                     most.count());
    }
    void limit(std::string_view name, const Limit& limit) {
        number(fmt::format("{}.per_second", name), limit.per_second, 0, 10'000'000);
        number(fmt::format("{}.burst", name), limit.burst, 1, 100'000'000);
    }
    template <typename... Args>
    void complain(fmt::format_string<Args...> format, Args&&... args) {
        if (first_.empty()) first_ = fmt::format(format, std::forward<Args>(args)...);
    }
    [[nodiscard]] Result<void> result() const {
        if (first_.empty()) return {};
        return fail(ErrorCode::config, "deciding: " + first_);
    }

  private:
    std::string first_;
};

constexpr std::size_t set_name_most = 31;  // IPSET_MAXNAMELEN with its NUL

}  // namespace

Result<void> check(const DecideConfig& c) {
    using std::chrono::hours;
    Checker checker;
    constexpr std::uint32_t table_most = 1 << 24;
    checker.number("proven_sources", c.proven_sources, 64, table_most);
    checker.number("proven_prefixes", c.proven_prefixes, 64, table_most);
    checker.number("prefix_handshakes", c.prefix_handshakes, 1, 1'000'000);
    checker.number("known_flows", c.known_flows, 1024, table_most);
    checker.number("stray_repeats", c.stray_repeats, 1, 1'000'000);
    checker.number("shapes", c.shapes, 64, 1 << 20);
    checker.number("shape_normal", c.shape_normal, 1, 1'000'000);
    checker.number("rate_sources", c.rate_sources, 64, table_most);
    checker.number("log_decisions", c.log_decisions, 16, table_most);
    checker.number("log_actions", c.log_actions, 16, table_most);
    checker.limit("proven", c.proven);
    checker.limit("neighbour", c.neighbour);
    checker.limit("shape_unknown", c.shape_unknown);
    checker.limit("shape_variety", c.shape_variety);
    checker.limit("host_rate", c.host_rate);
    checker.limit("net_rate", c.net_rate);
    checker.limit("connections", c.connections);
    checker.limit("site_connections", c.site_connections);
    checker.time("proven_window", c.proven_window, milliseconds(1000), hours(24 * 30));
    checker.time("proven_pass_every", c.proven_pass_every, c.proven_pass, hours(24));
    checker.time("known_flows_age", c.known_flows_age, milliseconds(1000), hours(24));
    checker.time("shape_half_life", c.shape_half_life, milliseconds(1000), hours(24 * 365));
    for (const auto& [name, value] : {std::pair{"proven_pass", c.proven_pass},
                                      {"proven_syn_pass", c.proven_syn_pass},
                                      {"revoke", c.revoke},
                                      {"stray_drop", c.stray_drop},
                                      {"known_pass", c.known_pass},
                                      {"shape_pass", c.shape_pass},
                                      {"shape_drop", c.shape_drop},
                                      {"rate_drop", c.rate_drop}})
        checker.time(name, value, milliseconds(10), hours(24));
    // The longest timeout that ipset takes is about 24 days.
    checker.time("deny", c.deny, milliseconds(1000), hours(24 * 24));
    for (const std::string& name : c.deny_set)
        if (name.empty() || name.size() > set_name_most)
            checker.complain("deny_set is {}; a set's name has 1 to {} characters", in_quotes(name),
                             set_name_most);
    if (c.accept_mask & SW_MARK_ESCALATE_MASK)
        checker.complain("accept_mask is {:#x}; the bits {:#x} are synward's own", c.accept_mask,
                         SW_MARK_ESCALATE_MASK);
    if (c.accept_mark & ~c.accept_mask)
        checker.complain("accept_mark is {:#x}, of which accept_mask ({:#x}) lets only {:#x} through",
                         c.accept_mark, c.accept_mask, c.accept_mark & c.accept_mask);
    return checker.result();
}

}  // namespace synward
