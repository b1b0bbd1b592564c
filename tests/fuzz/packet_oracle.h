/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What XDP's parser (xdp/parse.h, which is C and no C++) says of an IP packet. */
#ifndef SYNWARD_FUZZ_PACKET_ORACLE_H
#define SYNWARD_FUZZ_PACKET_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/abi/escalate.h"

#ifdef __cplusplus
extern "C" {
#endif

struct oracle {
    int ports;    // were read
    int segment;  // no objection to the whole TCP header
    int ipv6;
    uint32_t source[4], destination[4];
    uint16_t source_port, destination_port;
    uint8_t flags;
    struct sw_shape shape;  // of a segment
};

// 0: no IP packet, or none that carries TCP.
int packet_oracle(const uint8_t* packet, size_t length, struct oracle* said);

#ifdef __cplusplus
}
#endif

#endif
