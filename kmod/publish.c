// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netdevice.h>
#include <linux/prefetch.h>
#include <net/sock.h>

#include "event.h"
#include "flush.h"
#include "frame.h"
#include "publish.h"
#include "ring.h"
#include "wait.h"

/*
 * Most packets have neither a route nor a socket yet. Those of the loopback
 * device have a route, those that a tc program has assigned have a socket; both
 * may rest on RCU alone, and have to last longer. False: the route is going away
 * together with its device.
 */
static bool keep_references(struct sk_buff *skb)
{
	if (skb_sk_is_prefetched(skb) && !sk_is_refcounted(skb->sk)) {
		if (refcount_inc_not_zero(&skb->sk->sk_refcnt))
			skb->destructor = sock_edemux;
		else
			/* the socket is gone: the packet looks for another when it goes on */
			skb_orphan(skb);
	}
	return !skb_dst(skb) || skb_dst_force(skb);
}

/* Room in the ring and in the namespace; then `bytes` are the namespace's. Under the lock. */
static enum sw_reason find_room(struct sw_ring *ring, u32 bytes)
{
	struct sw_net *sn = ring->sn;

	/* it has come in the moment in which the reader went */
	if (unlikely(ring->dead))
		return SW_REASON_RING_NO_READER;
	if (unlikely(sw_slots_full(&ring->slots)))
		return SW_REASON_RING_FULL;
	if (!bytes)
		return SW_REASON_RING_COPIED;
	if (unlikely(sw_slots_over(&ring->slots, bytes)))
		return SW_REASON_RING_OVER_BYTES;
	if (unlikely(atomic_long_add_return(bytes, &sn->bytes) > sw_limits_bytes(&sn->limits))) {
		atomic_long_sub(bytes, &sn->bytes);
		return SW_REASON_RING_OVER_BYTES;
	}
	return SW_REASON_RING_HELD;
}

/*
 * The frame is whole before its sequence number is seen, and that before the new
 * head. Under the lock; returns whether the reader is to be woken.
 */
static bool put(struct sw_ring *ring, struct sk_buff *skb, const struct nf_hook_state *state,
		u32 mark, u32 bytes)
{
	struct sw_slots *slots = &ring->slots;
	u64 now = ktime_get_ns();
	u64 sequence = sw_slots_take(slots, bytes, now + ring->deadline_ns);
	u32 index = sw_slots_index(slots, sequence);
	struct sw_frame *frame = sw_frame(ring, index);

	if (bytes) {
		struct sw_held *held = &ring->held[index];

		held->skb = skb;
		held->in = state->in;
		held->okfn = state->okfn;
		held->pf = state->pf;
		dev_hold(held->in);
	}

	WRITE_ONCE(frame->sequence, 0);
	smp_wmb(); /* a reader of the packet that lay here sees it go first */
	sw_frame_fill(ring, frame, skb, state, mark);
	frame->time = now;
	frame->slot = index;
	frame->generation = sw_slots_generation(slots, sequence);
	/* pair with the reader's acquires (lib/abi/ring_frame.h): the frame, then the head */
	smp_store_release(&frame->sequence, sequence + 1);
	/* as above */
	smp_store_release(&ring->map->head, sequence + 1);
	prefetchw(sw_frame(ring, sw_slots_index(slots, sequence + 1)));

	if (sequence == slots->tail) {
		ring->told = 0;
		sw_flush_watch(ring);
	}
	return sw_wait_published(ring, now);
}

/* The packet does not come in: it is counted, told once, and takes the fail policy. */
static unsigned int refuse(struct sw_ring *ring, enum sw_reason reason, bool tell)
{
	u8 fail = reason == SW_REASON_RING_NO_READER ? READ_ONCE(ring->sn->fail) : ring->fail;

	sw_stats_add(ring->sn->stats, reason, 1);
	if (tell)
		sw_event(ring, SW_NL_EVENT_OVERFLOW, GFP_ATOMIC);
	return fail == SW_RING_FAIL_DROP ? NF_DROP : NF_ACCEPT;
}

unsigned int sw_publish(struct sw_ring *ring, struct sk_buff *skb,
			const struct nf_hook_state *state, u32 mark)
{
	/* what the packet takes in memory: a GSO packet takes some 64 KiB and more */
	u32 bytes = ring->mode == SW_RING_HOLD ? skb->truesize : 0;
	enum sw_reason reason;
	bool tell = false;
	bool wake = false;

	if (bytes && unlikely(!keep_references(skb))) {
		/* in and out at once: what was held is what left in one way or another */
		sw_stats_add(ring->sn->stats, SW_REASON_RING_HELD, 1);
		sw_stats_add(ring->sn->stats, SW_REASON_RING_DEVICE_GONE, 1);
		return NF_DROP;
	}

	spin_lock_bh(&ring->lock);
	reason = find_room(ring, bytes);
	if (likely(reason == SW_REASON_RING_HELD || reason == SW_REASON_RING_COPIED)) {
		wake = put(ring, skb, state, mark, bytes);
	} else if (reason != SW_REASON_RING_NO_READER) {
		WRITE_ONCE(ring->map->lost, ++ring->lost);
		tell = !(ring->told & SW_RING_TOLD_OVERFLOW);
		ring->told |= SW_RING_TOLD_OVERFLOW;
	}
	spin_unlock_bh(&ring->lock);

	if (wake)
		sw_wait_wake(ring);
	if (unlikely(reason != SW_REASON_RING_HELD && reason != SW_REASON_RING_COPIED))
		return refuse(ring, reason, tell);
	sw_stats_add(ring->sn->stats, reason, 1);
	if (reason == SW_REASON_RING_HELD)
		return NF_STOLEN;
	/* the sender comes again */
	return NF_DROP;
}
