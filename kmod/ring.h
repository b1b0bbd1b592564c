/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One verdict ring: the memory that its reader maps, the packets that it holds,
 * and the lock between those who put packets in and those who take them out.
 */
#ifndef SYNWARD_RING_H
#define SYNWARD_RING_H

#include <linux/hrtimer.h>
#include <linux/netfilter.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "lib/abi/ring_slots.h"
#include "net.h"

/*
 * A held packet, with what it needs to go on. The hook takes only packets whose
 * skb->dev is `in` and whose nf_hook_state has neither `out` nor `sk`.
 */
struct sw_held {
	struct sk_buff *skb;   /* NULL: the ring copies */
	struct net_device *in; /* holds a reference */
	int (*okfn)(struct net *net, struct sock *sk, struct sk_buff *skb);
	u8 pf;
};

/* How many packets are taken from a ring under one lock; they lie on the stack. */
#define SW_RING_BATCH 16

struct sw_ring {
	/* Written before the ring is published, then only read. */
	struct sw_net *sn;
	struct sw_held *held; /* by slot */
	struct sw_ring_header *map;
	u8 *frames;
	u32 frame_bytes;
	u32 watermark;
	u64 deadline_ns;
	u64 timer_ns;
	u8 mode;	    /* enum sw_ring_mode */
	u8 fail;	    /* enum sw_ring_fail */
	struct pid *opener; /* the descriptor's */
	struct sw_ring_setup setup;

	/*
	 * Protects what follows, the frames and header of the map, and held[].
	 * Taken with bottom halves off. Nothing is resumed or freed under it.
	 */
	spinlock_t lock ____cacheline_aligned;
	bool dead;    /* no more packets: the reader goes away */
	bool watched; /* the deadline work is pending or running */
	u8 told;      /* SW_RING_TOLD_*: events since the ring was empty */
	u64 lost;
	struct sw_slots slots;
	wait_queue_head_t wait;
	struct hrtimer timer; /* started under the lock only */
	struct delayed_work deadline;
};

#define SW_RING_TOLD_OVERFLOW 0x01
#define SW_RING_TOLD_EXPIRED 0x02

/*
 * Checks `setup`, fills in its answers, and makes a ring that nobody sees yet.
 * ERR_PTR as lib/abi/ring.h says.
 */
struct sw_ring *sw_ring_create(struct sw_net *sn, struct sw_ring_setup *setup);

/* Of a ring that nobody sees: never published, or closed. */
void sw_ring_free(struct sw_ring *ring);

/* Ends a published ring: its packets take the fail policy. Sleeps; frees it. */
void sw_ring_close(struct sw_ring *ring);

/* The packet's slot is empty again. Under the lock. */
static inline void sw_ring_release(struct sw_ring *ring, u32 index)
{
	ring->held[index].skb = NULL;
	sw_slots_release(&ring->slots, index);
}

/*
 * To be called under the lock after packets were taken out, with slots.bytes from
 * before: tells the reader, and the namespace.
 */
static inline void sw_ring_settle(struct sw_ring *ring, u64 bytes_before)
{
	atomic_long_sub(bytes_before - ring->slots.bytes, &ring->sn->bytes);
	WRITE_ONCE(ring->map->tail, ring->slots.tail);
}

#endif
