/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * What the BPF programs remember. Everything is bounded; an attacker who sends
 * random sources changes none of it, since only a validated handshake or a
 * socket of the kernel adds a flow.
 */
#ifndef SYNWARD_ABI_FLOW_H
#define SYNWARD_ABI_FLOW_H

#include "policy.h"

/* Keys of sw_flows4 and sw_flows6: as in a packet from the client. */
struct sw_flow4 {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
};
SW_ASSERT_SIZE(struct sw_flow4, 12);

struct sw_flow6 {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
};
SW_ASSERT_SIZE(struct sw_flow6, 36);

enum sw_flow_state {
	SW_FLOW_HANDSHAKE, /* validated, the socket has not been seen yet */
	SW_FLOW_CONFIRMED, /* the kernel has the connection */
};

/* Value of sw_flows4 and sw_flows6. */
struct sw_flow {
	__u32 tick;    /* of the validation, low 32 bits */
	__u8 state;    /* enum sw_flow_state */
	__u8 options;  /* the cookie's option byte */
	__u8 service;  /* index */
	__u8 reserved;
};
SW_ASSERT_SIZE(struct sw_flow, 8);

/*
 * sw_memory.filter: one bit per hash of source address and ports,
 * in two generations. A tuple that is in neither is not in the flow table and
 * has no socket, so that a spoofed packet costs no table look-up. That is
 * believed only for services whose sw_state.trusted equals sw_state.armings:
 * after arming, a walk over the sockets (iter/tcp) must have put them in.
 *
 * To renew it: clear the generation that sw_config.stamp does not name, name it,
 * walk the sockets.
 */
#define SW_FILTER_SHIFT 19
struct sw_filter {
	__u64 bits[(1 << SW_FILTER_SHIFT) / 64][2]; /* word, generation */
};
SW_ASSERT_SIZE(struct sw_filter, 131072);

/* sw_memory.state[service]; written by both sides with atomic operations. */
struct sw_state {
	/* read for every packet */
	__u32 armed;	    /* 0 or 1 */
	__u32 armed_at;	    /* tick at which the rate was last seen over the threshold */
	__u32 armings;	    /* how often it was armed */
	__u32 trusted;	    /* the value of `armings` for which the filter is complete */
	__u32 pad_hot[12];
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
};

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
	__u64 pad[3];
	__u32 prefix[SW_PREFIX_BUCKETS]; /* theoretical arrival times */
	struct sw_listener listener[SW_LISTENER_SLOTS];
	struct sw_pending pending[SW_SERVICES];
};
SW_ASSERT_SIZE(struct sw_cpu, 192 + 4 * SW_PREFIX_BUCKETS + 16 * SW_LISTENER_SLOTS + 8 * SW_SERVICES);

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
};
SW_ASSERT_SIZE(struct sw_memory, 192 + 256 * 128 + 512 * 64 + 131072 + 32768 + 2 * 131072);

#endif
