// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers of link types, as libpcap hands them out on Linux (pcap-linktype(7)).
#pragma once

namespace synward::replay {

enum LinkType {
    link_null = 0,  // BSD loopback: the address family in the captor's byte order
    link_ethernet = 1,
    link_raw = 12,  // IPv4 or IPv6
    link_raw_file = 101,
    link_loop = 108,  // OpenBSD loopback: likewise, in network byte order
    link_cooked = 113,
    link_ipv4 = 228,
    link_ipv6 = 229,
    link_cooked2 = 276,
};

}  // namespace synward::replay
