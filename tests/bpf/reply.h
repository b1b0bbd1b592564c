// SPDX-License-Identifier: GPL-2.0-or-later
// SYN-ACKs: the one that must come, byte by byte, and what any of them must keep.
#pragma once

#include <string>

#include "cookie.h"

namespace synward::bpf_test {

// The whole frame that answers `syn` (the frame that `segment` was read from).
Bytes expected_reply(View syn, const Segment& segment, const sw_service& service, std::uint32_t epoch,
                     const sw_keyring& keyring);

// The same without a cookie of ours: `isn` and the timestamp value are given.
Bytes reply_with(View syn, const Segment& segment, const sw_service& service, const Negotiated& negotiated,
                 const Cookie& cookie);

// Invariants of every reply, whatever its cookie: well-formed, right checksums,
// addressed back, no option that was not offered. Empty: it keeps them all.
std::string broken_rule(View syn, View reply);

}  // namespace synward::bpf_test
