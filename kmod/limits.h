/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much may be held, and for how long: module parameters, below which a
 * network namespace may set caps of its own by generic netlink.
 */
#ifndef SYNWARD_LIMITS_H
#define SYNWARD_LIMITS_H

#include <linux/types.h>

/* Caps of one namespace under the module parameters; 0: none. Written under sw_net.lock. */
struct sw_limits {
	u32 slots;	 /* of all rings */
	u32 deadline_ms; /* of any ring */
	u64 bytes;	 /* held by all rings, as skb->truesize counts */
};

u32 sw_limits_slots(const struct sw_limits *limits);
u32 sw_limits_deadline(const struct sw_limits *limits);
u64 sw_limits_bytes(const struct sw_limits *limits);

/*
 * Memory of the rings themselves, of the whole machine: it is charged to no
 * cgroup. False if there is not as much left.
 */
bool sw_limits_charge(unsigned long bytes);
void sw_limits_uncharge(unsigned long bytes);

#endif
