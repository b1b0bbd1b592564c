/* SPDX-License-Identifier: GPL-2.0-only */
/* What the reader gets to see of a packet. */
#ifndef SYNWARD_FRAME_H
#define SYNWARD_FRAME_H

#include "ring.h"

static inline struct sw_frame *sw_frame(const struct sw_ring *ring, u32 index)
{
	return (struct sw_frame *)(ring->frames + (size_t)index * ring->frame_bytes);
}

/*
 * Everything but sequence, time, slot and generation. The packet's bytes begin
 * with its IP header, which the IP layer has checked; nothing behind it is.
 */
void sw_frame_fill(const struct sw_ring *ring, struct sw_frame *frame, const struct sk_buff *skb,
		   const struct nf_hook_state *state, u32 mark);

#endif
