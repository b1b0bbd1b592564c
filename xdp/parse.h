/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension
 * headers, TCP. Pure: works on a [data, end) range, in BPF and in user space.
 * What cannot be parsed is told apart by reason, and `port_known` says whether
 * the TCP ports were read before the trouble began.
 */
#ifndef SYNWARD_XDP_PARSE_H
#define SYNWARD_XDP_PARSE_H

#include "abi/reasons.h"
#include "cookie.h"
#include "user.h"

#ifndef __bpf__
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#endif

#define PARSE_EXTENSIONS 6 /* headers that are followed */

/* Ethertypes and masks as a little-endian load sees them. */
#define ETHERTYPE(x) ((__u16)((x) << 8 | (x) >> 8))
#define IPV4_MORE_FRAGMENTS 0x0020
#define IPV4_OFFSET_MASK 0xff1f

/* Byte 13 of the TCP header. */
#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10
#define FLAG_ECE 0x40
#define FLAG_CWR 0x80

struct vlan_tag {
	__be16 tci;
	__be16 protocol;
};

struct extension {
	__u8 next;
	__u8 length; /* in 8 bytes beyond the first 8; AH: in 4 bytes beyond 8 */
	__be16 fragment; /* fragment header: offset, flags */
	__u8 rest[4];
};

struct view {
	void *data;
	void *end;
	void *l3;
	struct tcphdr *tcp;
	struct cookie_input in; /* addresses and ports; isn = sequence number as it stands */
	__u32 ack;		/* as it stands */
	__u32 header;		/* TCP header with options, bytes */
	__u32 length;		/* of the frame, with what lies beyond `end` (jumbo frames) */
	__u8 flags;		/* FLAG_* */
	bool port_known;
};

#define PARSE_TRUNCATED 0x10000 /* no ethertype */

/* Returns the ethertype (as it stands) or PARSE_TRUNCATED; v->l3 is set. */
static __always_inline __u32 parse_ethernet(struct view *v)
{
	struct ethhdr *eth = v->data;
	struct vlan_tag *tag;
	__u16 protocol;
	int i;

	if ((void *)(eth + 1) > v->end)
		return PARSE_TRUNCATED;
	protocol = *(__u16 *)((void *)eth + 12); /* not through the packed struct: one load */
	v->l3 = eth + 1;
	UNROLL
	for (i = 0; i < 2; i++) {
		if (protocol != ETHERTYPE(ETH_P_8021Q) && protocol != ETHERTYPE(ETH_P_8021AD))
			break;
		tag = v->l3;
		if ((void *)(tag + 1) > v->end)
			return PARSE_TRUNCATED;
		protocol = tag->protocol;
		v->l3 = tag + 1;
	}
	return protocol;
}

/* `available` bytes of the IP packet are left for TCP. SW_REASON_COUNT: no objection. */
static __always_inline enum sw_reason parse_tcp(struct view *v, void *l4, __u32 available)
{
	struct tcphdr *tcp = l4;
	__u32 word;

	v->tcp = tcp;
	if ((void *)(tcp + 1) > v->end)
		return SW_REASON_BAD_TCP;
	v->in.ports = *(__u32 *)&tcp->source;
	v->port_known = true;
	v->in.isn = tcp->seq;
	v->ack = tcp->ack_seq;
	word = *((__u32 *)tcp + 3);
	v->header = (word & 0xf0) >> 2;
	v->flags = word >> 8;
	if (v->header < sizeof(*tcp) || v->header > available)
		return SW_REASON_BAD_TCP;
	return SW_REASON_COUNT;
}

/*
 * Does the IP packet of `total` bytes exceed the frame? A jumbo frame may go on
 * beyond the linear part; only then is the driver asked.
 */
static __always_inline bool parse_truncated(struct view *v, void *ctx, __u32 total)
{
	v->length = v->end - v->data;
	if (total <= (__u64)(v->end - v->l3))
		return false;
#ifdef __bpf__
	v->length = bpf_xdp_get_buff_len(ctx);
#else
	(void)ctx;
#endif
	return v->length - (__u32)(v->l3 - v->data) < total;
}

static __always_inline enum sw_reason parse_ipv4(struct view *v, void *ctx)
{
	struct iphdr *ip = v->l3;
	void *end = v->end;
	__u64 header;
	__u32 total;
	__u16 fragment;

	if ((void *)(ip + 1) > end)
		return SW_REASON_BAD_IP;
	header = *(__u8 *)ip;
	if (header >> 4 != 4 || (header & 0xf) < 5)
		return SW_REASON_BAD_IP;
	header = header << 2;
	BOUND_MASK(header, 60);
	total = __builtin_bswap16(ip->tot_len);
	/* the packet ends where the frame does, or before (padding) */
	if (total < header || parse_truncated(v, ctx, total))
		return SW_REASON_BAD_IP;
	if (ip->protocol != IPPROTO_TCP)
		return SW_REASON_NOT_TCP;
	v->in.source[0] = ip->saddr;
	v->in.destination[0] = ip->daddr;
	fragment = ip->frag_off;
	if (fragment & IPV4_OFFSET_MASK)
		return SW_REASON_FRAGMENT;
	if (fragment & IPV4_MORE_FRAGMENTS) {
		parse_tcp(v, (void *)ip + header, total - header);
		return SW_REASON_FRAGMENT;
	}
	return parse_tcp(v, (void *)ip + header, total - header);
}

static __always_inline bool parse_is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

struct ipv6_walk {
	__u32 total;  /* bytes of the packet, IPv6 header included */
	__u32 offset; /* of the transport header, from the IPv6 header */
	__u8 next;
	__u8 fragment; /* 1: first, 2: later fragment */
};

/*
 * Follows extension headers; rare, so kept out of the way of the usual packet.
 * Returns SW_REASON_COUNT when w->next is not an extension header any more.
 */
static __always_inline enum sw_reason parse_extensions(void *ip, void *end, struct ipv6_walk *w)
{
	__u64 offset = sizeof(struct ipv6hdr);
	__u8 next = w->next;
	int i;

	for (i = 0; i < PARSE_EXTENSIONS; i++) {
		struct extension *x;
		__u64 length;

		BOUND_MASK(offset, 16383);
		x = ip + offset;
		if ((void *)(x + 1) > end)
			return SW_REASON_BAD_EXTENSION;
		length = x->length;
		switch (next) {
		case IPPROTO_FRAGMENT:
			/* an atomic fragment (RFC 6946) is a whole packet */
			if (x->fragment & ETHERTYPE(0xfff8))
				w->fragment = 2;
			else if (x->fragment & ETHERTYPE(0x0001))
				w->fragment = 1;
			length = 8;
			break;
		case IPPROTO_AH:
			length = (length + 2) << 2;
			break;
		default:
			length = (length + 1) << 3;
		}
		next = x->next;
		offset += length;
		if (offset > w->total)
			return SW_REASON_BAD_EXTENSION;
		w->next = next;
		w->offset = offset;
		if (w->fragment == 2 || !parse_is_extension(next))
			return SW_REASON_COUNT;
	}
	return SW_REASON_BAD_EXTENSION;
}

#ifdef __bpf__
/* As a function of its own it is verified once. `l3` is the offset of the IPv6 header. */
__attribute__((noinline)) int parse_extensions_at(struct xdp_md *ctx, __u32 l3, struct ipv6_walk *w)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u64 offset = l3;

	if (!w)
		return SW_REASON_BAD_EXTENSION;
	BOUND_MASK(offset, 31);
	return parse_extensions(data + offset, end, w);
}
#endif

static __always_inline enum sw_reason parse_ipv6(struct view *v, void *ctx)
{
	struct ipv6hdr *ip = v->l3;
	void *end = v->end;
	__u64 *address;
	__u64 offset = sizeof(*ip);
	__u32 total;
	__u8 next;

	if ((void *)(ip + 1) > end)
		return SW_REASON_BAD_IP;
	if (*(__u8 *)ip >> 4 != 6)
		return SW_REASON_BAD_IP;
	total = __builtin_bswap16(ip->payload_len) + sizeof(*ip);
	if (parse_truncated(v, ctx, total))
		return SW_REASON_BAD_IP;
	address = (__u64 *)&ip->saddr;
	v->in.source[0] = address[0];
	v->in.source[1] = address[1];
	v->in.destination[0] = address[2];
	v->in.destination[1] = address[3];
	next = ip->nexthdr;
	if (next != IPPROTO_TCP) {
		struct ipv6_walk w = { .total = total, .next = next };
		enum sw_reason reason;

		if (!parse_is_extension(next))
			return SW_REASON_NOT_TCP;
#ifdef __bpf__
		reason = parse_extensions_at(ctx, (long)v->l3 - (long)v->data, &w);
#else
		(void)ctx;
		reason = parse_extensions(ip, end, &w);
#endif
		if (reason != SW_REASON_COUNT)
			return reason;
		/* a later fragment may go on with a header we cannot see (RFC 8200, 4.5) */
		if (w.fragment == 2 && (w.next == IPPROTO_TCP || parse_is_extension(w.next)))
			return SW_REASON_FRAGMENT;
		if (w.next != IPPROTO_TCP)
			return SW_REASON_NOT_TCP;
		offset = w.offset;
		BOUND_MASK(offset, 16383);
		if (w.fragment) {
			parse_tcp(v, (void *)ip + offset, total - offset);
			return SW_REASON_FRAGMENT;
		}
	}
	return parse_tcp(v, (void *)ip + offset, total - offset);
}

#endif
