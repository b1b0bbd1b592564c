// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sched.h>

#include "event.h"
#include "flush.h"
#include "resume.h"
#include "ring.h"

/*
 * Unbound and of high priority: a CPU that a flood keeps busy shall not keep
 * packets beyond their deadline. With a rescuer, since memory may be short then.
 */
static struct workqueue_struct *workers;

int __init sw_flush_init(void)
{
	workers = alloc_workqueue("synward", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	return workers ? 0 : -ENOMEM;
}

void sw_flush_exit(void)
{
	destroy_workqueue(workers);
}

/* Takes the packet out of its slot, into `decision`. Under the lock. False: there is none. */
static bool take(struct sw_ring *ring, u64 sequence, struct sw_decision *decision, bool accept)
{
	u32 index = sw_slots_index(&ring->slots, sequence);
	bool held = ring->held[index].skb;

	if (held) {
		decision->held = ring->held[index];
		decision->mark = 0;
		decision->mask = 0;
		decision->accept = accept;
	}
	sw_ring_release(ring, index);
	return held;
}

/*
 * Up to a batch of the oldest packets, if they are past their deadline (or any, if
 * `all`). Returns how many left their slots; `*count` of them are in `decisions`.
 * Under the lock.
 */
static unsigned int take_oldest(struct sw_ring *ring, struct sw_decision *decisions,
				unsigned int *count, bool all)
{
	u64 now = ktime_get_ns();
	u64 bytes = ring->slots.bytes;
	bool accept = ring->fail == SW_RING_FAIL_ACCEPT;
	unsigned int taken = 0;
	u64 sequence;

	*count = 0;
	while (taken < SW_RING_BATCH) {
		sequence = sw_slots_expired(&ring->slots, now, all);
		if (sequence == SW_SEQUENCE_NONE)
			break;
		*count += take(ring, sequence, &decisions[*count], accept);
		taken++;
	}
	sw_ring_settle(ring, bytes);
	return taken;
}

/* The deadline of the oldest packet, in jiffies from now, rounded up. Under the lock. */
static unsigned long delay(const struct sw_ring *ring)
{
	const struct sw_slots *slots = &ring->slots;
	s64 left = slots->slot[sw_slots_index(slots, slots->tail)].deadline - ktime_get_ns();

	return left > 0 ? nsecs_to_jiffies(left) + 1 : 0;
}

/*
 * Armed once while packets come and go: the work looks at what is there when it
 * runs, and arms itself again as long as there is anything.
 */
void sw_flush_watch(struct sw_ring *ring)
{
	lockdep_assert_held(&ring->lock);
	if (ring->watched)
		return;
	ring->watched = true;
	queue_delayed_work(workers, &ring->deadline, delay(ring));
}

void sw_flush_deadline(struct work_struct *work)
{
	struct sw_ring *ring = container_of(to_delayed_work(work), struct sw_ring, deadline);
	struct sw_decision decisions[SW_RING_BATCH];
	unsigned int taken, count;
	bool tell;

	do {
		spin_lock_bh(&ring->lock);
		taken = take_oldest(ring, decisions, &count, false);
		tell = taken && !(ring->told & SW_RING_TOLD_EXPIRED);
		if (tell)
			ring->told |= SW_RING_TOLD_EXPIRED;
		if (taken < SW_RING_BATCH) {
			ring->watched = !ring->dead && ring->slots.head != ring->slots.tail;
			if (ring->watched)
				queue_delayed_work(workers, &ring->deadline, delay(ring));
		}
		spin_unlock_bh(&ring->lock);

		sw_stats_add(ring->sn->stats, SW_REASON_RING_EXPIRED, count);
		sw_stats_add(ring->sn->stats, SW_REASON_RING_UNSEEN, taken - count);
		sw_resume(ring->sn->net, decisions, count);
		if (tell)
			sw_event(ring, SW_NL_EVENT_EXPIRED, GFP_KERNEL);
		cond_resched();
	} while (taken == SW_RING_BATCH);
}

void sw_flush_all(struct sw_ring *ring)
{
	struct sw_decision decisions[SW_RING_BATCH];
	unsigned int taken, count;

	do {
		spin_lock_bh(&ring->lock);
		taken = take_oldest(ring, decisions, &count, true);
		spin_unlock_bh(&ring->lock);
		sw_stats_add(ring->sn->stats, SW_REASON_RING_CLOSED, count);
		/* copies have met their fate already */
		sw_stats_add(ring->sn->stats, SW_REASON_RING_UNSEEN, taken - count);
		sw_resume(ring->sn->net, decisions, count);
		cond_resched();
	} while (taken == SW_RING_BATCH);
}

void sw_flush_device(struct sw_ring *ring, const struct net_device *device)
{
	struct sw_decision decisions[SW_RING_BATCH];
	struct sw_slots *slots = &ring->slots;
	unsigned int count;
	u64 sequence = 0;
	u64 bytes;

	do {
		count = 0;
		spin_lock_bh(&ring->lock);
		bytes = slots->bytes;
		for (sequence = max(sequence, slots->tail);
		     sequence < slots->head && count < SW_RING_BATCH; sequence++) {
			u32 index = sw_slots_index(slots, sequence);
			const struct sw_held *held = &ring->held[index];

			/* the slots between tail and head that are DONE hold nothing */
			if (held->skb && held->in == device)
				count += take(ring, sequence, &decisions[count], false);
		}
		sw_ring_settle(ring, bytes);
		spin_unlock_bh(&ring->lock);
		sw_stats_add(ring->sn->stats, SW_REASON_RING_DEVICE_GONE, count);
		sw_resume(ring->sn->net, decisions, count);
	} while (count == SW_RING_BATCH);
}
