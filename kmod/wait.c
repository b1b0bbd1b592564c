// SPDX-License-Identifier: GPL-2.0-only
#include "compat.h"
#include "ring.h"
#include "wait.h"

/*
 * Whether anybody sleeps is asked under the ring's lock, and whoever goes to
 * sleep takes that lock after having lined up and before looking at the ring:
 * one of the two sees the other.
 */
static bool sleeping(struct sw_ring *ring)
{
	lockdep_assert_held(&ring->lock);
	/* ordered by the lock, as said above */
	return waitqueue_active(&ring->wait);
}

/* When the first frame that no verdict has named is due, ns. There must be one. */
static u64 due(const struct sw_ring *ring)
{
	const struct sw_slots *slots = &ring->slots;
	u32 index = sw_slots_index(slots, slots->head - sw_slots_unseen(slots));

	return slots->slot[index].deadline - ring->deadline_ns + ring->timer_ns;
}

static bool ready(const struct sw_ring *ring, u64 unseen)
{
	if (unseen >= ring->watermark)
		return true;
	return unseen && (s64)(ktime_get_ns() - due(ring)) >= 0;
}

static void start_timer(struct sw_ring *ring, u64 when)
{
	if (!ring->dead)
		hrtimer_start(&ring->timer, ns_to_ktime(when), HRTIMER_MODE_ABS_SOFT);
}

static enum hrtimer_restart timer_fires(struct hrtimer *timer)
{
	struct sw_ring *ring = container_of(timer, struct sw_ring, timer);
	bool wake = false;
	u64 unseen;

	spin_lock_bh(&ring->lock);
	unseen = sw_slots_unseen(&ring->slots);
	if (unseen && sleeping(ring)) {
		wake = ready(ring, unseen);
		/* verdicts have come meanwhile, and then another first frame */
		if (!wake)
			start_timer(ring, due(ring));
	}
	spin_unlock_bh(&ring->lock);
	if (wake)
		sw_wait_wake(ring);
	return HRTIMER_NORESTART;
}

void sw_wait_init(struct sw_ring *ring)
{
	init_waitqueue_head(&ring->wait);
	hrtimer_setup(&ring->timer, timer_fires, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

bool sw_wait_published(struct sw_ring *ring, u64 now)
{
	u64 unseen;

	if (!sleeping(ring))
		return false;
	unseen = sw_slots_unseen(&ring->slots);
	if (unseen == ring->watermark)
		return true;
	if (unseen == 1)
		start_timer(ring, now + ring->timer_ns);
	return false;
}

void sw_wait_seen(struct sw_ring *ring)
{
	if (sleeping(ring) && sw_slots_unseen(&ring->slots) && !hrtimer_active(&ring->timer))
		start_timer(ring, due(ring));
}

void sw_wait_wake(struct sw_ring *ring)
{
	wake_up_interruptible_poll(&ring->wait, EPOLLIN | EPOLLRDNORM);
}

__poll_t sw_wait_poll(struct sw_ring *ring, struct file *file, poll_table *table)
{
	__poll_t events = EPOLLOUT | EPOLLWRNORM; /* verdicts never wait */
	u64 unseen;

	poll_wait(file, &ring->wait, table);
	spin_lock_bh(&ring->lock);
	unseen = sw_slots_unseen(&ring->slots);
	if (ready(ring, unseen))
		events |= EPOLLIN | EPOLLRDNORM;
	else if (unseen)
		start_timer(ring, due(ring));
	spin_unlock_bh(&ring->lock);
	return events;
}
