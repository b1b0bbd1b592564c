/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * What the BPF programs remember. Everything is bounded; an attacker who sends
 * random sources changes none of it, since only a validated handshake or a
 * socket of the kernel adds a flow.
 */
#ifndef SYNWARD_ABI_FLOW_H
#define SYNWARD_ABI_FLOW_H

#include "policy.h"

enum sw_flow_state {
	SW_FLOW_NONE,
	SW_FLOW_HANDSHAKE, /* validated, the socket has not been seen yet */
	SW_FLOW_CONFIRMED, /* the kernel has the connection */
};

/*
 * Known connections, both IP versions: a set-associative cache of 64-bit entries
 * in the map sw_flows, one cache line for each set, so that a known packet costs
 * one memory access where the kernel's LRU hash takes two or three and a lock.
 *
 *   bits  0-31  tag: low half of a keyed hash of addresses and ports
 *        32-39  the cookie's option byte
 *        40-41  enum sw_flow_state; NONE: free
 *        42-63  low bits of the tick at which it was last stored
 *
 * The hash (hash_flow() in xdp/hash.h) also chooses the set, by its top
 * sw_config.flow_shift bits, and the way that is tried first, by bits 32-34. A
 * packet of no connection finds a foreign entry in a full set with probability
 * 2^-29, and passes then: far below what a guessed cookie gains (docs/cookies.md).
 * That holds for IPv4, and for IPv6 tuples chosen without regard to each other.
 * Of IPv6 the mixing is fast rather than universal: pairs of tuples that differ in
 * the upper bits of several words at once may share hash and set more often than
 * chance would have it. Who finds one gets past the program, to a kernel that has no
 * such connection.
 * An entry is read and written whole; a full set loses its oldest, whose
 * connection is found in the kernel again.
 */
#define SW_FLOW_WAYS 8
#define SW_FLOW_OPTIONS_SHIFT 32
#define SW_FLOW_STATE_SHIFT 40
#define SW_FLOW_TICK_SHIFT 42
#define SW_FLOW_TICK_MASK 0x3fffffu

struct sw_flow_set {
	__u64 entry[SW_FLOW_WAYS];
};
SW_ASSERT_SIZE(struct sw_flow_set, 64);

static inline __u64 sw_flow_entry(__u32 tag, __u8 options, enum sw_flow_state state, __u32 tick)
{
	return tag | (__u64)options << SW_FLOW_OPTIONS_SHIFT | (__u64)state << SW_FLOW_STATE_SHIFT |
	       (__u64)tick << SW_FLOW_TICK_SHIFT;
}

static inline __u8 sw_flow_options(__u64 entry)
{
	return (__u8)(entry >> SW_FLOW_OPTIONS_SHIFT);
}

static inline __u32 sw_flow_state_of(__u64 entry)
{
	return entry >> SW_FLOW_STATE_SHIFT & 3;
}

/* Ticks since it was stored; wraps after an hour or more. */
static inline __u32 sw_flow_age(__u64 entry, __u32 now)
{
	return (now - (__u32)(entry >> SW_FLOW_TICK_SHIFT)) & SW_FLOW_TICK_MASK;
}

/* The way that is tried first. */
static inline __u32 sw_flow_way(__u64 hash)
{
	return hash >> 32 & (SW_FLOW_WAYS - 1);
}

/*
 * sw_memory.filter: one bit per hash of source address and ports,
 * in two generations. A tuple that is in neither is not in the flow table and
 * has no socket, so that a spoofed packet costs no table look-up. That is
 * believed only for services whose sw_state.trusted equals sw_state.armings:
 * after arming, a walk over the sockets (iter/tcp) must have put them in.
 *
 * To renew it: clear the generation that sw_config.stamp does not name, name it,
 * walk the sockets.
 *
 * A generation may use fewer words than there are: where few connections are known, a
 * small filter stays in the processor's caches, which under a flood of random sources is
 * worth more than a tenth of what an answer costs. sw_config.stamp says all of it in one
 * byte, which is read once for a packet:
 *
 *   bit  0    the generation that is filled
 *        1-3  generation 0 has 1 << (SW_FILTER_SHIFT - these) bits
 *        4-6  generation 1 likewise
 */
#define SW_FILTER_SHIFT 19
#define SW_FILTER_SHIFT_MIN 15
struct sw_filter {
	__u64 bits[(1 << SW_FILTER_SHIFT) / 64][2]; /* word, generation */
};
SW_ASSERT_SIZE(struct sw_filter, 131072);

static inline __u32 sw_stamp_generation(__u8 stamp)
{
	return stamp & 1;
}

/* By how many powers of two a generation is smaller than the most. */
static inline __u32 sw_stamp_less(__u8 stamp, __u32 generation)
{
	return stamp >> (1 + 3 * generation) & 7;
}

/* `generation` is filled from now on and is so much smaller; the other stays as it is. */
static inline __u8 sw_stamp_renewed(__u8 stamp, __u32 generation, __u32 less)
{
	const __u32 at = 1 + 3 * generation;

	return (stamp & ~(1u | 7u << at)) | generation | less << at;
}

/* The word of a slot (of SW_FILTER_SHIFT bits) in a generation; its bit is slot & 63. */
static inline __u32 sw_filter_word(__u32 slot, __u8 stamp, __u32 generation)
{
	return slot >> 6 >> sw_stamp_less(stamp, generation);
}

/* sw_memory.state[service]; written by both sides with atomic operations. */
struct sw_state {
	/* read for every packet */
	__u32 armed;	    /* 0 or 1 */
	__u32 armed_at;	    /* tick at which the rate was last over the threshold, or mode cookie ended */
	__u32 armings;	    /* how often it was armed */
	__u32 trusted;	    /* the value of `armings` for which the filter is complete */
	__u32 armed_since;  /* tick at which it was armed */
	__u32 pad_hot[11];
	/* written for every 16th SYN of a CPU */
	__u32 window;	    /* number of the arming window being counted */
	__u32 syns;	    /* SYNs counted in it */
	__u32 last_syns;    /* SYNs of the window before */
	__u32 peak_syns;    /* most SYNs in one window since arming */
	__u32 pad_cold[12];
};
SW_ASSERT_SIZE(struct sw_state, 128);

enum sw_listener_kind {
	SW_LISTENER_UNKNOWN,
	SW_LISTENER_PLAIN,
	SW_LISTENER_MPTCP,
	SW_LISTENER_NONE,
	SW_LISTENER_FORWARDED, /* the address is not of this host */
	SW_LISTENER_SIGNED,    /* it has keys of TCP-MD5 or TCP-AO */
};

/*
 * Is `now` less than `limit` ticks after `since`? Another CPU may have written `since` a
 * moment after this one took its `now`.
 */
#define SW_TICKS_LATE 256
static inline int sw_ticks_within(__u32 now, __u32 since, __u32 limit)
{
	return now - since + SW_TICKS_LATE < limit + SW_TICKS_LATE;
}

/* What a socket look-up said about a local address and port. */
struct sw_listener {
	__u64 tag;   /* hash of address and port */
	__u32 tick;  /* of the look-up */
	__u32 kind;  /* enum sw_listener_kind */
};

/* SYNs of one CPU that sw_state has not been told yet. */
struct sw_pending {
	__u32 window;
	__u32 syns;
};

#define SW_LISTENER_SLOTS 256
#define SW_PREFIX_BUCKETS 4096
#define SW_CPUS 128 /* CPUs beyond share a slot */

/* Value of sw_cpu[cpu % SW_CPUS]: written by one CPU only. */
struct sw_cpu {
	struct sw_epoch_key epoch[2]; /* of even and of odd epochs */
	__u32 reply;		      /* theoretical arrival time of the next reply */
	__u32 sample_tick;	      /* of the last packet sample */
	__u32 handshake;	      /* theoretical arrival time of the next handshake event */
	__u32 shape_tick;	      /* of the last shape event */
	__u32 old_cookie_tick;	      /* of the last look for a cookie of the kernel's */
	__u32 old_cookies;	      /* looks in that tick */
	__u64 pad[5];
	__u32 prefix[SW_PREFIX_BUCKETS]; /* theoretical arrival times */
	struct sw_listener listener[SW_LISTENER_SLOTS];
	struct sw_pending pending[SW_SERVICES];
	__u32 escalate[SW_SERVICES]; /* theoretical arrival times */
};
SW_ASSERT_SIZE(struct sw_cpu, 320 + 4 * SW_PREFIX_BUCKETS + 16 * SW_LISTENER_SLOTS + 12 * SW_SERVICES);

/*
 * Value of the map sw_memory, one element: what the programs index themselves.
 * In one map because a look-up, even an inlined one, costs 1.3 ns; mapped by
 * user space, which writes it with atomic stores while packets pass.
 */
struct sw_memory {
	struct sw_config config;
	struct sw_state state[SW_SERVICES];
	struct sw_service services[SW_GENERATIONS][SW_SERVICES];
	struct sw_filter filter;
	struct sw_gate gate;
	struct sw_ports ports[SW_GENERATIONS];
	__u32 sources[SW_FATE_COUNT]; /* entries of the source sets by enum sw_fate, for readers */
};
SW_ASSERT_SIZE(struct sw_memory, 192 + 256 * 128 + 512 * 128 + 131072 + 49152 + 2 * 131072 + 16);

#endif
