/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * What XDP asks the daemon about, and the answers that it keeps.
 *
 * A ticket is the daemon's decision about one kind of doubt and one source (or
 * one shape of SYN): what it says of strays says nothing of SYNs, so that
 * whoever spoofs strays of somebody else cannot have that one locked out.
 */
#ifndef SYNWARD_ABI_ESCALATE_H
#define SYNWARD_ABI_ESCALATE_H

#include "policy.h"

/* What was doubtful. X(NAME, name) */
#define SW_DOUBTS(X)                                                                   \
	X(STRAY, stray)		/* segment of no known connection */                   \
	X(SYN, syn)		/* SYN with unusual options, by source */              \
	X(SHAPE, shape)		/* the same, by its shape: the key holds a sw_shape */ \
	X(FRAGMENT, fragment)                                                          \
	X(MALFORMED, malformed)

enum sw_doubt {
#define X(NAME, name) SW_DOUBT_##NAME,
	SW_DOUBTS(X)
#undef X
		SW_DOUBT_COUNT
};

/*
 * What of a SYN tells one stack from another, as far as spoofing tools do not
 * usually vary it. `layout` is the kinds of its options in their order, one
 * byte each with the last in the lowest byte; of more than eight the last
 * eight.
 */
struct sw_shape {
	__u64 layout;
	__u8 header; /* length of the TCP header, bytes */
	__u8 hops;   /* initial TTL or hop limit, guessed: 32, 64, 128, 255 */
	__u8 wscale; /* shift count; 0xff: none */
	__u8 family; /* enum sw_family */
	__u32 pad;   /* 0 */
};
SW_ASSERT_SIZE(struct sw_shape, 16);

#define SW_SHAPE_NO_WSCALE 0xff

/* The smallest usual initial value that a packet with this TTL may have had. */
static inline __u8 sw_shape_hops(__u8 ttl)
{
	return ttl <= 32 ? 32 : ttl <= 64 ? 64 : ttl <= 128 ? 128 : 255;
}

/* Key of sw_tickets. */
struct sw_ticket_key {
	__u32 subject[4]; /* source address (IPv4 in the first word) or struct sw_shape */
	__u8 doubt;	  /* enum sw_doubt */
	__u8 family;	  /* enum sw_family */
	__u16 service;	  /* index */
};
SW_ASSERT_SIZE(struct sw_ticket_key, 20);

/*
 * Value of sw_tickets. The tick at which it ends has 48 bits: 32 of them come
 * round in weeks, and a ticket may lie in the table for as long as nobody needs
 * its place.
 */
struct sw_ticket {
	__u32 until;	  /* tick from which on it means nothing */
	__u8 action;	  /* enum sw_action but escalate; pass answers a SYN with a cookie */
	__u8 decider;	  /* who decided, for `synward why` */
	__u16 until_high; /* bits 32 to 47 of `until` */
};
SW_ASSERT_SIZE(struct sw_ticket, 8);

static inline __u64 sw_ticket_until(const struct sw_ticket *ticket)
{
	return ticket->until | (__u64)ticket->until_high << 32;
}

#endif
