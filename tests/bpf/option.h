// SPDX-License-Identifier: GPL-2.0-or-later
// TCP options: how a test writes them, and how Linux reads them.
#pragma once

#include <initializer_list>
#include <optional>

#include "bytes.h"

namespace synward::bpf_test {

// One option each; put together with options(), which pads with EOL to words.
Bytes mss(unsigned value);
Bytes wscale(unsigned shift);
Bytes sack_permitted();
Bytes timestamp(std::uint32_t value, std::uint32_t echo = 0);
Bytes nop();
Bytes end_of_options();
// `length` as it shall stand in the packet; the body may contradict it.
Bytes raw_option(unsigned kind, unsigned length, View body);

Bytes options(std::initializer_list<Bytes> list);

// What clients in the field send.
Bytes linux_syn_options(std::uint32_t timestamp_value = 0x11223344);
Bytes windows_syn_options();

struct Timestamp {
    std::uint32_t value;
    std::uint32_t echo;
};

struct Options {
    unsigned mss = 0;  // 0: absent
    std::optional<unsigned> wscale;
    bool sack = false;
    std::optional<Timestamp> timestamp;
};

// As tcp_parse_options() of Linux reads a SYN: stops at EOL, at a length below 2
// and at a length beyond the end; skips what has the wrong length; the last of
// duplicates wins; an MSS of 0 is no MSS; a shift count above 14 is 14 (RFC 7323 2.3).
Options read_options(View data);

}  // namespace synward::bpf_test
