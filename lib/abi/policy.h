/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * What user space tells the BPF programs. Zero means "pass" everywhere, so that
 * an object with empty maps is harmless.
 *
 * Ports, services and addresses exist twice (generation 0 and 1): user space
 * writes the generation that is not in use and then stores
 * sw_config.generation, so that a packet sees one policy or the other, never a
 * mixture.
 *
 * Time is counted in ticks of the kernel (jiffies): reading them is free, where
 * a clock costs 31 ns. User space learns their length from
 * clock_getres(CLOCK_MONOTONIC_COARSE) and converts.
 */
#ifndef SYNWARD_ABI_POLICY_H
#define SYNWARD_ABI_POLICY_H

#include "types.h"

#define SW_ABI_VERSION 8

enum sw_mode {
	SW_MODE_OFF,	 /* pass everything */
	SW_MODE_MONITOR, /* as auto, but only count what would have happened */
	SW_MODE_AUTO,	 /* armed by the rate of SYNs */
	SW_MODE_COOKIE,	 /* always armed */
	SW_MODE_COUNT
};

/* How a validated ACK becomes a connection. */
enum sw_delivery {
	SW_DELIVERY_AUTO,     /* user space only: never in a map */
	SW_DELIVERY_REQSK,    /* own cookie, request socket at tc (kernel >= 6.9) */
	SW_DELIVERY_KERNEL,   /* the kernel's cookie, checked by the listener again */
	SW_DELIVERY_SYNPROXY, /* the kernel's cookie, checked by netfilter SYNPROXY */
	SW_DELIVERY_COUNT
};

/* For packets that are fragments, malformed or strays. */
enum sw_action {
	SW_ACTION_PASS,
	SW_ACTION_DROP,
	SW_ACTION_ESCALATE, /* pass, marked for the daemon */
	SW_ACTION_COUNT
};

enum sw_fate {
	SW_FATE_NONE,
	SW_FATE_DENY,
	SW_FATE_ALLOW,
	SW_FATE_CHECK, /* an exception within what has another: as for everybody else */
	SW_FATE_COUNT
};

/* TCP options (and ECN) that a reply may negotiate. */
#define SW_OPTION_SACK 0x01
#define SW_OPTION_TIMESTAMP 0x02
#define SW_OPTION_WSCALE 0x04
#define SW_OPTION_ECN 0x08

#define SW_NAME_LENGTH 28
#define SW_GENERATIONS 2
#define SW_SERVICES 256 /* index 0 is "no service" */
#define SW_PORTS 65536

/*
 * A rate limit as the generic cell rate algorithm (ITU-T I.371) has it, in units
 * of 1/65536 tick: one packet every `interval`, early by at most `tolerance`.
 * tolerance 0: no limit.
 */
#define SW_TICK_SHIFT 16
struct sw_rate_limit {
	__u32 interval;
	__u32 tolerance;
};

/*
 * One service. User space precomputes whatever it can, so that the program
 * copies instead of computing. Of service 0 ("none") only `escalate_default` and
 * `escalate` mean something: for packets whose port could not be read.
 */
struct sw_service {
	__u8 mode;     /* enum sw_mode */
	__u8 delivery; /* enum sw_delivery */
	__u8 stray;    /* enum sw_action */
	__u8 fragment; /* enum sw_action */

	__u8 malformed;	       /* enum sw_action */
	__u8 options;	       /* SW_OPTION_*: what the reply may negotiate */
	__u8 wscale;	       /* shift count that the reply announces */
	__u8 ttl[SW_FAMILIES]; /* TTL, hop limit of the reply */
	__u8 odd_syn;	       /* enum sw_action; SW_ACTION_PASS: answered like any SYN */
	__u8 escalate_default; /* enum sw_action but escalate: what exceeds the escalation budget */
	__u8 local; /* 1: protected on the addresses that are local, which user space follows */

	__be16 mss[SW_FAMILIES];	/* MSS that the reply announces */
	__be16 window[SW_FAMILIES][2];	/* of the reply: without, with timestamps */
	__u32 arm_syns;			/* SYNs in one arming window that arm */
	__u32 disarm_syns;		/* below this many, the hold time runs */
	__u32 hold_ticks;		/* armed at least this long */
	char name[SW_NAME_LENGTH];	/* NUL-terminated */
	struct sw_rate_limit escalate;	/* packets of one CPU to the daemon */
	__u32 reserved_cold[14];
};
SW_ASSERT_SIZE(struct sw_service, 128);

/*
 * sw_memory.ports[generation]: the service of each destination port (host
 * byte order index), 0 for none. SW_PORT_BY_ADDRESS: look in sw_addresses.
 */
#define SW_PORT_BY_ADDRESS 0xffff
struct sw_ports {
	__u16 service[SW_PORTS];
};

/* Key of sw_addresses; IPv4 addresses are v4-mapped (::ffff:a.b.c.d). Value: __u32 service. */
struct sw_address_key {
	__u8 address[16];
	__be16 port;
	__u16 generation;
};
SW_ASSERT_SIZE(struct sw_address_key, 20);

/*
 * Two keys. Cookies of epoch `since` and later are made and checked with
 * key[active], those of earlier epochs with the other one. To rotate: write
 * the other key, then since = next epoch and active in one 64-bit store, then
 * increment version (never 0), which makes the programs derive anew.
 */
struct sw_keyring {
	__u64 key[2][2]; /* SipHash keys: 128 bits each */
	__u32 since;	 /* epoch */
	__u32 active;	 /* 0 or 1 */
	__u32 version;
	__u32 pad0;
};
SW_ASSERT_SIZE(struct sw_keyring, 48);

/* The keys of one epoch's cookies, derived from the keyring (docs/cookies.md). */
#define SW_NH_WORDS 10
struct sw_epoch_key {
	__u32 epoch;
	__u32 version; /* of the keyring it was derived from; 0: none */
	__u32 nh[SW_NH_WORDS];
	__u64 siphash[SW_FAMILIES][4]; /* SipHash's state under the key, as far as no input is needed */
	__u64 pad[2];
};
SW_ASSERT_SIZE(struct sw_epoch_key, 128);

#define SW_FLAG_GATEWAY 0x01 /* it forwards: what it protects may be behind it */
#define SW_FLAG_CHECK_MAC 0x02 /* pass frames whose destination is not `mac` */
#define SW_FLAG_TIMESTAMP_COOKIE 0x04 /* the kernel's cookie may carry options in timestamps */
#define SW_FLAG_REPORT 0x08 /* handshakes and shapes of SYNs are events: somebody learns from them */
#define SW_FLAG_VRF 0x10 /* frames may end in a VRF or bridge: see xdp/lookup.h */
#define SW_FLAG_VRF_TAGGED 0x20 /* the same of frames with a VLAN tag */

#define SW_USER_MADE_CLSACT 0x01 /* the interface had no clsact before: unload removes it */

/* sw_memory.config: what holds for the whole interface. */
struct sw_config {
	__u32 abi;	  /* SW_ABI_VERSION; 0: no policy, pass everything */
	__u32 generation; /* 0 or 1, of ports, services and addresses */
	__u32 flags;	  /* SW_FLAG_* */
	__u32 sources;	  /* which source sets are in force, see SW_SET_* below */

	__u8 mac[6];	 /* of the interface */
	__u8 fragment;	 /* enum sw_action, where no port could be read */
	__u8 malformed;	 /* enum sw_action, likewise */
	__u8 epoch_shift; /* epoch = ticks >> epoch_shift, about a minute */
	__u8 stamp;	  /* of the filter: which generation new connections are put into, sizes; see struct sw_filter */
	__u8 flow_shift;  /* sw_flows has 1 << flow_shift sets; written with the first policy */
	__u8 source_shift; /* sw_exact has 1 << source_shift sets a generation; likewise */

	__u32 window_shift;	/* arming window = 1 << window_shift ticks, about 1/8 s */
	__u32 grace_ticks;	/* how long a validated ACK may be on its way to its socket */
	__u32 listener_ticks;	/* how long a listener look-up is believed */
	__u32 sample_ticks;	/* between two packet samples of one CPU */
	__u32 hz;		/* ticks a second; for readers */
	__u32 no_metadata;	/* written by XDP: the driver carries no metadata to tc */

	struct sw_rate_limit reply;  /* SYN-ACKs of one CPU */
	struct sw_rate_limit prefix; /* SYN-ACKs of one CPU to one source prefix */
	__u64 hash_key[8];	     /* odd random numbers for the filter, buckets and gates */
	struct sw_keyring keyring;
	__u64 user;		     /* SW_USER_*: notes of user space to its next process */
};
SW_ASSERT_SIZE(struct sw_config, 192);

/*
 * Source sets: exact addresses, and prefixes; for every destination port, or for one.
 * What is for the packet's port is looked for first, and ends the search: it is written
 * so that it needs nothing of the others. Each set is there twice (generation 0 and 1). User space replaces all of them at once by writing the generation that is not
 * in use and storing sw_config.sources, the one word that says
 *
 *   bits  0-5   SW_SET_*: which sets are not empty
 *         6     the generation in force
 *         8-12  the gate of the exact sets has 1 << this many bits
 *        16-31  serial number: two writers notice each other
 */
#define SW_SET_EXACT4 0x01
#define SW_SET_EXACT6 0x02
#define SW_SET_PREFIX4 0x04
#define SW_SET_PREFIX6 0x08
#define SW_SET_PORT4 0x10 /* some of them are for one port */
#define SW_SET_PORT6 0x20
#define SW_SET_ANY 0x3f
#define SW_SET_GENERATION_SHIFT 6
#define SW_SET_GATE_SHIFT 8
#define SW_SET_SERIAL_SHIFT 16

static inline __u32 sw_set_generation(__u32 sources)
{
	return sources >> SW_SET_GENERATION_SHIFT & 1;
}

static inline __u32 sw_set_gate_shift(__u32 sources)
{
	return sources >> SW_SET_GATE_SHIFT & 31;
}

/* 1 << this many exact sets are in use: as many as their gate has words, if there are. */
static inline __u32 sw_set_exact_shift(__u32 gate_shift, __u32 source_shift)
{
	__u32 shift = gate_shift - 6;

	return shift < source_shift ? shift : source_shift & 31;
}

/*
 * The exact sources, both families: a set-associative table in the map sw_exact,
 * one cache line for each set, where the kernel's hash map takes two or three
 * memory accesses. Each generation has 1 << sw_config.source_shift sets, twice as many
 * places as there may be entries; sw_set_exact_shift() of them are in use, so that the
 * CPU's caches hold what a few entries need.
 *
 *   bits  0-1   enum sw_fate; NONE: free
 *         3     family: IPv6
 *         8-63  tag: low 56 bits of a keyed hash of the address and the port (big endian;
 *               0: every port)
 *
 * The hash (hash_exact() in xdp/hash.h) also chooses the first set, by its top bits,
 * and in it the way that is tried first, by bits 32-34. An entry is there, or in a
 * second set, whose number is that of the first with bits of the tag changed. User space
 * takes the first set while it is not half full, else the emptier one, so that both are
 * full practically never (Azar et al., Balanced Allocations, 1999).
 *
 * IPv4 is exact: the tag's low 48 bits are a bijection of address and port. Two IPv6
 * addresses share all 64 bits (tag and first set, from 256 sets on) with probability
 * 2^-62 at most, whatever they are, and then only share both sets. So an IPv6 packet
 * of no entry meets the fate of one with 2^-52 among 1,000 entries and 2^-42 among a
 * million.
 *
 * Every store is one word; there is one writer, in user space (lib/source_table.h).
 */
#define SW_SOURCE_WAYS 8
#define SW_SOURCE_FATE 0x03
#define SW_SOURCE_IPV6 0x08
#define SW_SOURCE_TAG_SHIFT 8
SW_ASSERT(SW_FATE_COUNT <= SW_SOURCE_FATE + 1, "a fate must fit into an entry of sw_exact");

struct sw_source_set {
	__u64 entry[SW_SOURCE_WAYS];
};
SW_ASSERT_SIZE(struct sw_source_set, 64);

/* The entry of a source, without its fate. */
static inline __u64 sw_source_tag(__u64 hash, int family)
{
	return hash << SW_SOURCE_TAG_SHIFT | (family == SW_IPV6 ? SW_SOURCE_IPV6 : 0);
}

/* The way that is tried first. */
static inline __u32 sw_source_way(__u64 hash)
{
	return hash >> 32 & (SW_SOURCE_WAYS - 1);
}

/* The number of the source's first set, within its generation. */
static inline __u32 sw_source_index(__u64 hash, __u32 shift)
{
	return hash >> 32 >> (32 - (shift & 31));
}

/* The number of its other set: never the same; from there it leads back. */
static inline __u32 sw_source_other(__u32 index, __u64 hash, __u32 shift)
{
	return index ^ ((__u32)hash * 0x9e3779b1u >> (32 - (shift & 31)) | 1);
}

/* What an entry says of the source with this tag; NONE: it is of another one, or free. */
static inline __u32 sw_source_fate(__u64 entry, __u64 tag)
{
	entry ^= tag;
	return entry <= SW_SOURCE_FATE ? entry : 0;
}

/*
 * Keys of the longest-prefix-match maps; the generation is a part of the prefix, and
 * the length counts its eight bits. An entry for one port has SW_PREFIX_BY_PORT in the
 * byte of the generation, and the port (big endian) between it and the address; the
 * length counts these 16 bits as well. Value: __u32, enum sw_fate in the low byte, the
 * length of the prefix itself in the next.
 */
struct sw_prefix4 {
	__u32 length; /* bits */
	__u8 generation;
	__u8 address[4];
	__u8 pad[3]; /* the kernel compares eight bytes at a time */
};
struct sw_prefix6 {
	__u32 length; /* bits */
	__u8 generation;
	__u8 address[16];
	__u8 pad[3];
};
SW_ASSERT_SIZE(struct sw_prefix4, 12);
SW_ASSERT_SIZE(struct sw_prefix6, 24);
#define SW_PREFIX_BY_PORT 0x02
#define SW_PREFIX_VALUE_LENGTH_SHIFT 8

/*
 * Bits of a gate say that the sets may hold the source.
 *
 * exact: one gate for both families and every port, at least 16 bits for each entry,
 * of which two are set, in one word, by hash_gate_exact(). One of 1 << SW_GATE_BITS
 * bits is here, where it costs half as much; a larger one is words of the map sw_gate,
 * 1 << source_shift for each generation, of which as many are in use as
 * sw_config.sources says.
 *
 * prefix: index by hash_gate_prefix() (both in xdp/hash.h), made of the first 16
 * bits of an IPv4 and 32 of an IPv6 address. A prefix that covers several indices
 * sets them all.
 */
#define SW_GATE_BITS 16 /* of a prefix gate, and of an exact gate at least */
#define SW_GATE_WORDS ((1 << SW_GATE_BITS) / 64)
struct sw_gate {
	__u64 exact[SW_GENERATIONS][SW_GATE_WORDS];
	__u64 prefix[SW_GENERATIONS][SW_FAMILIES][SW_GATE_WORDS];
};
SW_ASSERT_SIZE(struct sw_gate, 49152);

#endif
