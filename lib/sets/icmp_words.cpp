// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/icmp_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

namespace synward {
namespace {

struct IcmpWord {
    std::uint8_t type;
    std::uint8_t code;
    std::string_view word;
};

constexpr IcmpWord icmp4[] = {{0, 0, "echo-reply"},
                              {3, 0, "network-unreachable"},
                              {3, 1, "host-unreachable"},
                              {3, 2, "protocol-unreachable"},
                              {3, 3, "port-unreachable"},
                              {3, 4, "fragmentation-needed"},
                              {3, 5, "source-route-failed"},
                              {3, 6, "network-unknown"},
                              {3, 7, "host-unknown"},
                              {3, 9, "network-prohibited"},
                              {3, 10, "host-prohibited"},
                              {3, 11, "TOS-network-unreachable"},
                              {3, 12, "TOS-host-unreachable"},
                              {3, 13, "communication-prohibited"},
                              {3, 14, "host-precedence-violation"},
                              {3, 15, "precedence-cutoff"},
                              {4, 0, "source-quench"},
                              {5, 0, "network-redirect"},
                              {5, 1, "host-redirect"},
                              {5, 2, "TOS-network-redirect"},
                              {5, 3, "TOS-host-redirect"},
                              {8, 0, "echo-request"},
                              {9, 0, "router-advertisement"},
                              {10, 0, "router-solicitation"},
                              {11, 0, "ttl-zero-during-transit"},
                              {11, 1, "ttl-zero-during-reassembly"},
                              {12, 0, "ip-header-bad"},
                              {12, 1, "required-option-missing"},
                              {13, 0, "timestamp-request"},
                              {14, 0, "timestamp-reply"},
                              {17, 0, "address-mask-request"},
                              {18, 0, "address-mask-reply"}};

constexpr IcmpWord icmp6[] = {{1, 0, "no-route"},
                              {1, 1, "communication-prohibited"},
                              {1, 3, "address-unreachable"},
                              {1, 4, "port-unreachable"},
                              {2, 0, "packet-too-big"},
                              {3, 0, "ttl-zero-during-transit"},
                              {3, 1, "ttl-zero-during-reassembly"},
                              {4, 0, "bad-header"},
                              {4, 1, "unknown-header-type"},
                              {4, 2, "unknown-option"},
                              {128, 0, "echo-request"},
                              {129, 0, "echo-reply"},
                              {133, 0, "router-solicitation"},
                              {134, 0, "router-advertisement"},
                              {135, 0, "neighbour-solicitation"},
                              {136, 0, "neighbour-advertisement"},
                              {137, 0, "redirect"}};

}  // namespace

std::string icmp_word(bool ipv6, std::uint16_t type_and_code) {
    const std::span<const IcmpWord> words = ipv6 ? std::span<const IcmpWord>(icmp6) : icmp4;
    const auto found = std::find_if(words.begin(), words.end(), [&](const IcmpWord& w) {
        return (w.type << 8 | w.code) == type_and_code;
    });
    if (found != words.end()) return std::string(found->word);
    return fmt::format("{}/{}", type_and_code >> 8, type_and_code & 0xff);
}

}  // namespace synward
