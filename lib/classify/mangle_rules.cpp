// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/mangle_rules.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "lib/abi/metadata.h"
#include "lib/classify/command.h"

namespace synward {
namespace {

constexpr std::string_view jump_end = "-j SYNWARD";
constexpr unsigned undecided = 0x02;  // a class byte that no entry can name: see lib/classify/fates.h
constexpr unsigned mask = SW_MARK_CLASS_MASK;

// Only the packets that make an entry of conntrack, RELATED for an expected connection: ICMP
// errors of others are RELATED too, and a flow without an answer stays NEW.
constexpr std::string_view jump = "-m conntrack --ctstate NEW,RELATED ! --ctstatus CONFIRMED -j SYNWARD";

std::string command(sw_family family, std::string_view what) {
    return fmt::format("{}{}", family == SW_IPV4 ? "iptables" : "ip6tables", what);
}

bool has_ipv6() {
    return !access("/proc/net/if_inet6", F_OK);
}

bool starts(std::string_view line, std::string_view with) {
    return line.starts_with(with);
}

std::vector<std::string> our_lines(std::string_view saved) {
    std::vector<std::string> lines;
    while (!saved.empty()) {
        const std::size_t end = std::min(saved.find('\n'), saved.size());
        const std::string_view line = saved.substr(0, end);
        saved.remove_prefix(std::min(end + 1, saved.size()));
        const bool chain = starts(line, ":SYNWARD ");
        if (starts(line, "-A SYNWARD ") || (starts(line, "-A ") && line.ends_with(jump_end)))
            lines.emplace_back(line);
        else if (chain)
            lines.emplace_back(":SYNWARD");
    }
    return lines;
}

bool is_jump(const std::string& line) {
    return starts(line, "-A ") && line.ends_with(jump_end);
}

// As they stand: somebody may have moved the jump, or added one.
std::string drop_jumps(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines)
        if (is_jump(line)) text += "-D" + line.substr(2) + "\n";
    return text;
}

Result<std::vector<std::string>> read_rules(sw_family family) {
    auto saved = run_command({command(family, "-save"), "-t", "mangle"});
    if (saved) return our_lines(*saved);
    if (saved.error().code != ErrorCode::missing) return tl::unexpected(saved.error());
    return fail(
        ErrorCode::unsupported,
        fmt::format("{} is not installed, so connections cannot be marked by sets: install the package "
                    "iptables, load the module (modprobe synward), or set classify.marker = \"none\"",
                    command(family, "")));
}

Result<void> restore(sw_family family, const std::string& text) {
    auto done = run_command({command(family, "-restore"), "--noflush", "-w", "5"}, text);
    if (done) return {};
    return fail(done.error().code,
                fmt::format("cannot write the chain SYNWARD of the table mangle: {}", done.error().message));
}

// Our lines as they were, in the place of those that are there; without any there is no chain.
Result<void> put_back(sw_family family, const std::vector<std::string>& before) {
    const auto present = read_rules(family);
    if (!present) return tl::unexpected(present.error());
    if (*present == before) return {};
    std::string text = "*mangle\n:SYNWARD - [0:0]\n" + drop_jumps(*present);
    for (const std::string& line : before)
        if (!starts(line, ":")) text += is_jump(line) ? "-I" + line.substr(2) + "\n" : line + "\n";
    if (before.empty()) text += "-X SYNWARD\n";
    return restore(family, text + "COMMIT\n");
}

}  // namespace

std::string mangle_text(std::span<const BoundSet> sets, sw_family family,
                        const std::vector<std::string>& present) {
    // A chain that is declared is emptied, also if it was there.
    std::string text = "*mangle\n:SYNWARD - [0:0]\n";
    const std::string others = drop_jumps(present);
    if (others != fmt::format("-D PREROUTING {}\n", jump))
        // The first rule of all, so that no verdict of others comes before the mark.
        text += fmt::format("{}-I PREROUTING 1 {}\n", others, jump);
    const auto rule = [&](std::string_view what) { text += fmt::format("-A SYNWARD {}\n", what); };
    const std::string save = fmt::format("-j CONNMARK --save-mark --nfmask {:#x} --ctmask {:#x}", mask, mask);
    const std::string restored =
        fmt::format("-j CONNMARK --restore-mark --nfmask {:#x} --ctmask {:#x}", mask, mask);
    // An expected connection is not looked up: conntrack gave it the mark of the one that
    // expected it. Only without a class there does that count which the packet brings.
    constexpr std::string_view expected = "-m conntrack --ctstate RELATED";
    rule(fmt::format("{} -m connmark --mark 0/{:#x} {}", expected, mask, save));
    rule(fmt::format("{} {}", expected, restored));
    rule(fmt::format("{} -j RETURN", expected));
    // The class that the packet brings, of a validated handshake, holds where no set says otherwise.
    rule(fmt::format("-m mark ! --mark 0/{:#x} {}", mask, save));
    // SET does not say whether it found an entry. So the byte gets a value that no entry
    // has, and whoever still has it was not found yet: the first set that has it decides.
    const std::string is_undecided = fmt::format("-m mark --mark {:#x}/{:#x}", undecided, mask);
    const std::string is_decided = fmt::format("-m mark ! --mark {:#x}/{:#x}", undecided, mask);
    rule(fmt::format("-j MARK --set-xmark {:#x}/{:#x}", undecided, mask));
    for (const BoundSet& set : sets) {
        if (set.family && *set.family != family) continue;
        const std::string look_up =
            fmt::format("-j SET --map-set {} {} --map-mark", set.name, direction_words(set));
        rule(fmt::format("{} {}", is_undecided, look_up));
        if (!set.by_mark) continue;
        // A set whose markmask does not leave the class byte out compares our value too. It is
        // asked once more without it, by nobody who is decided, since 0 is then "not found".
        rule(fmt::format("{} {}", is_decided, save));
        rule(fmt::format("{} -j RETURN", is_decided));
        rule(fmt::format("-j MARK --set-xmark 0/{:#x}", mask));
        rule(look_up);
        rule(fmt::format("-m mark --mark 0/{:#x} -j MARK --set-xmark {:#x}/{:#x}", mask, undecided, mask));
    }
    rule(fmt::format("{} {}", is_decided, save));
    rule(fmt::format("{} {}", is_undecided, restored));
    text += "COMMIT\n";
    return text;
}

Result<MangleRules> install_mangle_rules(std::span<const BoundSet> sets) {
    const auto before = find_mangle_rules();
    if (!before) return before;
    if (auto done = restore(SW_IPV4, mangle_text(sets, SW_IPV4, before->ipv4)); !done)
        return tl::unexpected(done.error());
    if (!has_ipv6()) return find_mangle_rules();
    auto done = restore(SW_IPV6, mangle_text(sets, SW_IPV6, before->ipv6));
    if (done) return find_mangle_rules();
    if (const auto back = put_back(SW_IPV4, before->ipv4); !back)
        done.error().message += "; and the rules of IPv4 are those of the new sets: " + back.error().message;
    return tl::unexpected(done.error());
}

Result<MangleRules> find_mangle_rules() {
    MangleRules rules;
    auto ipv4 = read_rules(SW_IPV4);
    if (!ipv4) return tl::unexpected(ipv4.error());
    rules.ipv4 = std::move(*ipv4);
    if (!has_ipv6()) return rules;
    auto ipv6 = read_rules(SW_IPV6);
    if (!ipv6) return tl::unexpected(ipv6.error());
    rules.ipv6 = std::move(*ipv6);
    return rules;
}

Result<void> remove_mangle_rules() {
    Error first;
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        const auto done = put_back(family, {});
        if (done || done.error().code == ErrorCode::unsupported) continue;
        if (family == SW_IPV6 && !has_ipv6()) continue;
        if (first.message.empty()) first = done.error();
    }
    if (!first.message.empty()) return tl::unexpected(first);
    return {};
}

}  // namespace synward
