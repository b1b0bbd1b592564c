/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * Generic netlink family "synward": control of the kernel module. Everything
 * concerns the network namespace of the socket.
 *
 *   SW_NL_GET          -> ABI, VERSION, POLICY            anybody
 *   SW_NL_SET          POLICY { what shall change }        CAP_NET_ADMIN
 *   SW_NL_GET_RINGS    dump -> RING { one ring } each      anybody
 *   SW_NL_GET_COUNTERS -> COUNTERS { by enum sw_reason }   anybody
 *   SW_NL_BIND         SETS { SET { NAME, DIM, FLAGS } }   CAP_NET_ADMIN
 *   SW_NL_GET_BOUND    -> SETS { SET { + INDEX } }, or nothing   anybody
 *
 * SW_NL_BIND replaces the whole list of ipsets in which new connections are
 * looked up, in their order, or changes nothing. With an empty list connections get the
 * class that their packets bring. Without a list they are left alone, as at the beginning,
 * and SW_NL_GET_BOUND then answers without one.
 * A bound set is referenced, as by a rule of iptables: ipset refuses to destroy or
 * rename it, and swap follows the name. ENOENT: there is no set of that name;
 * EINVAL: it has no skbinfo extension (a list:set needs none: its members have the
 * marks, unless it has its own), or more dimensions than DIM (all say which, by the
 * offset of the attribute). EOPNOTSUPP: the module was built without the marker.
 *
 * The first set that has an entry for the packet decides, with the byte
 * SW_MARK_CLASS_MASK of the entry's mark, which may be 0; an entry whose mask has no bit
 * of that byte says nothing. Where no set decides, the class that the packet brings in
 * its mark holds. It is written into the marks of connection and packet; their other
 * bits are left alone.
 *
 * Multicast group "events": SW_NL_EVENT with EVENT and RING. Unknown attributes
 * and values out of range are refused (EINVAL, with extended acknowledgement),
 * and nothing is changed then.
 */
#ifndef SYNWARD_ABI_GENETLINK_H
#define SYNWARD_ABI_GENETLINK_H

#define SW_NL_FAMILY "synward"
#define SW_NL_GROUP "events"
#define SW_NL_VERSION 1

enum sw_nl_command {
	SW_NL_UNSPEC,
	SW_NL_GET,
	SW_NL_SET,
	SW_NL_GET_RINGS,
	SW_NL_GET_COUNTERS,
	SW_NL_EVENT,
	SW_NL_BIND,
	SW_NL_GET_BOUND,
	SW_NL_COMMANDS
};

enum sw_nl_attribute {
	SW_NL_A_UNSPEC,
	SW_NL_A_ABI,	  /* u32: SW_RING_ABI */
	SW_NL_A_VERSION,  /* string: of the module */
	SW_NL_A_POLICY,	  /* nest of sw_nl_policy */
	SW_NL_A_RING,	  /* nest of sw_nl_ring */
	SW_NL_A_COUNTERS, /* nest: attribute type = enum sw_reason + 1, u64; only those that are not 0 */
	SW_NL_A_EVENT,	  /* u8: enum sw_nl_event */
	SW_NL_A_PAD,
	SW_NL_A_SETS,	  /* nest: SW_NL_A_SET each */
	SW_NL_A_SET,	  /* nest of sw_nl_set */
	SW_NL_ATTRIBUTES
};

enum sw_nl_policy {
	SW_NL_POLICY_UNSPEC,
	SW_NL_POLICY_FAIL,     /* u8: enum sw_ring_fail, for packets without a reader */
	SW_NL_POLICY_SLOTS,    /* u32: most slots of all rings of the namespace */
	SW_NL_POLICY_BYTES,    /* u64: most bytes held by all of them */
	SW_NL_POLICY_DEADLINE, /* u32: most milliseconds that a ring may hold a packet */
	SW_NL_POLICIES
};

enum sw_nl_ring {
	SW_NL_RING_UNSPEC,
	SW_NL_RING_INDEX,     /* u16 */
	SW_NL_RING_RINGS,     /* u16 */
	SW_NL_RING_MODE,      /* u8: enum sw_ring_mode */
	SW_NL_RING_FANOUT,    /* u8: enum sw_ring_fanout */
	SW_NL_RING_FAIL,      /* u8: enum sw_ring_fail */
	SW_NL_RING_SLOTS,     /* u32 */
	SW_NL_RING_HELD,      /* u32: from tail to head */
	SW_NL_RING_BYTES,     /* u64: held */
	SW_NL_RING_PUBLISHED, /* u64: head */
	SW_NL_RING_LOST,      /* u64 */
	SW_NL_RING_PID,	      /* u32: of the opener, in the reader's pid namespace; 0: unknown there */
	SW_NL_RING_PAD,
	SW_NL_RING_ATTRIBUTES
};

#define SW_NL_SETS_MAX 64

enum sw_nl_set {
	SW_NL_SET_UNSPEC,
	SW_NL_SET_NAME,	 /* string, at most 31 bytes */
	SW_NL_SET_DIM,	 /* u8: dimension of the look-up, 1 to 3 (IPSET_DIM_*) */
	SW_NL_SET_FLAGS, /* u8: bit n - 1 set: dimension n is of the source (src), else of the destination */
	SW_NL_SET_INDEX, /* u16: ip_set's own number; only in answers */
	SW_NL_SET_ATTRIBUTES
};

enum sw_nl_event {
	SW_NL_EVENT_OPENED,   /* a ring got its reader */
	SW_NL_EVENT_CLOSED,   /* it lost it */
	SW_NL_EVENT_OVERFLOW, /* it was full; once, until it is empty again */
	SW_NL_EVENT_EXPIRED,  /* a deadline passed; once, until it is empty again */
	SW_NL_EVENTS
};

#endif
