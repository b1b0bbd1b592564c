// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet_oracle.h"

#include <arpa/inet.h>
#include <string.h>

#include "xdp/options.h"
#include "xdp/parse.h"

int packet_oracle(const uint8_t* packet, size_t length, struct oracle* said) {
    struct view v = {.data = (void*)packet, .end = (void*)(packet + length), .l3 = (void*)packet};
    enum sw_reason reason;
    struct options o = {0};

    memset(said, 0, sizeof *said);
    if (!length) return 0;
    said->ipv6 = packet[0] >> 4 == 6;
    reason = said->ipv6 ? parse_ipv6(&v, NULL) : parse_ipv4(&v, NULL);
    if (!v.port_known) return 0;
    said->ports = 1;
    said->segment = reason == SW_REASON_COUNT;
    memcpy(said->source, v.in.source, said->ipv6 ? 16 : 4);
    memcpy(said->destination, v.in.destination, said->ipv6 ? 16 : 4);
    said->source_port = ntohs(v.in.ports & 0xffff);
    said->destination_port = ntohs(v.in.ports >> 16);
    said->flags = ((const uint8_t*)v.tcp)[13];
    if (!said->segment) return 1;
    options_any((const uint8_t*)v.tcp + sizeof(struct tcphdr), v.end, v.header - sizeof(struct tcphdr), &o);
    said->shape.layout = o.layout;
    said->shape.header = v.header;
    said->shape.hops = sw_shape_hops(packet[said->ipv6 ? 7 : 8]);
    said->shape.wscale = o.found & SW_OPTION_WSCALE ? o.wscale : SW_SHAPE_NO_WSCALE;
    said->shape.family = said->ipv6 ? SW_IPV6 : SW_IPV4;
    return 1;
}
