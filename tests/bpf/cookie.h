// SPDX-License-Identifier: GPL-2.0-or-later
// The own cookie as docs/cookies.md describes it, byte by byte.
#pragma once

#include <optional>

#include "abi/policy.h"
#include "option.h"
#include "segment.h"

namespace synward::bpf_test {

struct Cookie {
    std::uint32_t isn;
    std::uint32_t timestamp;  // value that the SYN-ACK carries, if it carries one
};

// What the handshake negotiated, after service and client have had their say.
struct Negotiated {
    unsigned mss_index = 0;
    bool ecn = false;
    bool sack = false;
    std::optional<unsigned> wscale;  // the client's
    std::optional<Timestamp> timestamp;
};

Negotiated negotiate(const Segment& syn, const sw_service& service);

// Inverse of the other one for all but the timestamp.
std::uint8_t option_byte(const Negotiated& negotiated);

// A cookie for the SYN's tuple and `isn` (the client's), in `epoch`.
Cookie bake(const Segment& syn, std::uint32_t isn, std::uint8_t option_byte, std::uint32_t epoch,
            const sw_keyring& keyring);

// The option byte if `ack` carries a cookie that is good in `epoch`.
std::optional<std::uint8_t> verify(const Segment& ack, std::uint32_t epoch, const sw_keyring& keyring);

}  // namespace synward::bpf_test
