// SPDX-License-Identifier: GPL-2.0-only
#include <linux/nospec.h>
#include <linux/prefetch.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "resume.h"
#include "ring.h"
#include "verdict.h"
#include "wait.h"

/* Releases this many frames at most before others may have the lock. */
#define SEEN_BATCH 256

struct tally {
	unsigned int decided; /* accepted or dropped */
	unsigned int accepted;
	unsigned int stale;
	unsigned int bad;
};

/* The packet that the verdict names, or SW_SEQUENCE_NONE. Under the lock. */
static u64 find(const struct sw_ring *ring, const struct sw_verdict *verdict, struct tally *tally)
{
	const struct sw_slots *slots = &ring->slots;
	u64 sequence;
	u32 slot;

	if (verdict->slot > slots->mask) {
		tally->bad++;
		return SW_SEQUENCE_NONE;
	}
	/* comes from user space: no speculative look beyond the array */
	slot = array_index_nospec(verdict->slot, slots->mask + 1);
	sequence = sw_slots_find(slots, slot, verdict->generation);
	if (sequence == SW_SEQUENCE_NONE)
		tally->stale++;
	return sequence;
}

/*
 * A batch of a holding ring: decided under the lock, carried out after it. The
 * verdicts are a copy that user space cannot change any more.
 */
static void decide(struct sw_ring *ring, const struct sw_verdict *verdicts, unsigned int count,
		   struct tally *tally)
{
	struct sw_decision decisions[SW_RING_BATCH];
	struct sw_decision *next = decisions;
	u64 bytes, sequence;
	unsigned int i;
	u32 index;

	spin_lock_bh(&ring->lock);
	bytes = ring->slots.bytes;
	for (i = 0; i < count; i++) {
		const struct sw_verdict *verdict = &verdicts[i];

		if (verdict->verdict != SW_VERDICT_ACCEPT && verdict->verdict != SW_VERDICT_DROP) {
			tally->bad++;
			continue;
		}
		sequence = find(ring, verdict, tally);
		if (sequence == SW_SEQUENCE_NONE)
			continue;
		index = sw_slots_index(&ring->slots, sequence);
		next->held = ring->held[index];
		prefetchw(&next->held.skb->users);
		next->mark = verdict->mark;
		next->mask = verdict->mask;
		next->accept = verdict->verdict == SW_VERDICT_ACCEPT;
		next++;
		sw_slots_note(&ring->slots, sequence);
		sw_ring_release(ring, index);
	}
	sw_ring_settle(ring, bytes);
	sw_wait_seen(ring);
	spin_unlock_bh(&ring->lock);

	for (i = 0; i < next - decisions; i++)
		tally->accepted += decisions[i].accept;
	tally->decided += next - decisions;
	sw_resume(ring->sn->net, decisions, next - decisions);
}

/* A frame of a copying ring and all before it are read: nothing is held, slots become free. */
static void see(struct sw_ring *ring, const struct sw_verdict *verdict, struct tally *tally)
{
	struct sw_slots *slots = &ring->slots;
	unsigned int left;
	u64 sequence;
	bool more;

	if (verdict->verdict != SW_VERDICT_SEEN) {
		tally->bad++;
		return;
	}
	spin_lock_bh(&ring->lock);
	sequence = find(ring, verdict, tally);
	spin_unlock_bh(&ring->lock);
	if (sequence == SW_SEQUENCE_NONE)
		return;
	do {
		spin_lock_bh(&ring->lock);
		sw_slots_note(slots, sequence);
		for (left = SEEN_BATCH; left && slots->tail <= sequence; left--)
			sw_slots_release(slots, sw_slots_index(slots, slots->tail));
		more = slots->tail <= sequence;
		sw_ring_settle(ring, slots->bytes);
		sw_wait_seen(ring);
		spin_unlock_bh(&ring->lock);
	} while (more);
}

static void count_verdicts(struct sw_ring *ring, const struct tally *tally)
{
	struct sw_stats __percpu *stats = ring->sn->stats;

	sw_stats_add(stats, SW_REASON_RING_ACCEPTED, tally->accepted);
	sw_stats_add(stats, SW_REASON_RING_DROPPED, tally->decided - tally->accepted);
	sw_stats_add(stats, SW_REASON_RING_STALE, tally->stale);
	sw_stats_add(stats, SW_REASON_RING_BAD_VERDICT, tally->bad);
}

ssize_t sw_verdict_write(struct sw_ring *ring, const char __user *from, size_t bytes)
{
	struct sw_verdict verdicts[SW_RING_BATCH];
	struct tally tally = {};
	size_t left = bytes;
	ssize_t err = 0;

	if (bytes % sizeof(*verdicts))
		return -EINVAL;
	while (left) {
		size_t now = min(left, sizeof(verdicts));
		unsigned int i, count = now / sizeof(*verdicts);

		if (copy_from_user(verdicts, from, now)) {
			err = -EFAULT;
			break;
		}
		if (ring->mode == SW_RING_HOLD)
			decide(ring, verdicts, count, &tally);
		else
			for (i = 0; i < count; i++)
				see(ring, &verdicts[i], &tally);
		from += now;
		left -= now;
		/* nobody is left to be told how far it came */
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	count_verdicts(ring, &tally);
	return err ?: bytes;
}
