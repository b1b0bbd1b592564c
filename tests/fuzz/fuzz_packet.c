// SPDX-License-Identifier: GPL-2.0-or-later
// The parser of xdp/parse.h on any frame. Each input is copied to a buffer of
// exactly its size, so that a byte read too many is found.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xdp/parse.h"

static void require(bool promise) {
    if (!promise) abort();
}

// What the rest of the program relies on when the parser has no objection.
static void check_accepted(const struct view* v) {
    const uint8_t* tcp = (const uint8_t*)v->tcp;
    const uint8_t* begin = v->data;
    const uint8_t* end = v->end;
    uint32_t ports;

    require(v->port_known);
    require(tcp >= begin && tcp + sizeof(struct tcphdr) <= end);
    require(v->header >= sizeof(struct tcphdr) && v->header <= 60);
    // the options are within the frame, too
    require(tcp + v->header <= end);
    memcpy(&ports, tcp, sizeof ports);
    require(ports == v->in.ports);
    require(v->flags == tcp[13]);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    enum sw_reason reason = SW_REASON_NOT_IP;
    struct view v = {0};
    uint16_t protocol;
    uint8_t* frame;

    if (size > 65535) return 0;
    frame = malloc(size ? size : 1);
    if (size) memcpy(frame, data, size);
    v.data = frame;
    v.end = frame + size;
    protocol = parse_ethernet(&v);
    if (protocol == ETHERTYPE(ETH_P_IP))
        reason = parse_ipv4(&v, NULL);
    else if (protocol == ETHERTYPE(ETH_P_IPV6))
        reason = parse_ipv6(&v, NULL);
    require(reason <= SW_REASON_COUNT);
    if (reason == SW_REASON_COUNT) check_accepted(&v);
    free(frame);
    return 0;
}
