/* SPDX-License-Identifier: GPL-2.0-only */
/* The way into a ring. */
#ifndef SYNWARD_PUBLISH_H
#define SYNWARD_PUBLISH_H

#include <linux/types.h>

struct nf_hook_state;
struct sk_buff;
struct sw_ring;

/*
 * Holds or copies the packet, or applies the ring's fail policy; `mark` is what
 * it came with. Returns what the hook shall return: NF_STOLEN, NF_ACCEPT, NF_DROP.
 * Under RCU; bottom halves may be on.
 */
unsigned int sw_publish(struct sw_ring *ring, struct sk_buff *skb,
			const struct nf_hook_state *state, u32 mark);

#endif
