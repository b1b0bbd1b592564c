/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * The states of a verdict ring's slots. A ring in the plain sense: sequence
 * numbers are given out at `head`, and `tail` follows over what is decided, so
 * that arrival order is the order of deadlines and nothing has to be searched.
 *
 *   FREE --take--> HELD --decide, expire--> FREE, once tail has come by
 *
 * Pure: no lock (the caller has one), no clock, no memory of its own. Used by
 * the module, by the tests' ring and by the fuzzers.
 */
#ifndef SYNWARD_ABI_RING_SLOTS_H
#define SYNWARD_ABI_RING_SLOTS_H

#include "ring.h"

enum sw_slot_state { SW_SLOT_FREE, SW_SLOT_HELD, SW_SLOT_DONE };

struct sw_slot {
	__u64 deadline; /* same clock as `now` below */
	__u32 bytes;	/* what the packet takes */
	__u32 state;	/* enum sw_slot_state */
};

struct sw_slots {
	struct sw_slot *slot; /* mask + 1 of them, zeroed; the caller's */
	__u64 head;	      /* sequence number that take() gives next */
	__u64 tail;	      /* oldest that is not FREE; head if all are */
	__u64 seen;	      /* one past the highest that a verdict named */
	__u64 bytes;	      /* in HELD slots */
	__u64 most_bytes;
	__u32 mask;
	__u32 shift; /* log2(mask + 1) */
};

static inline void sw_slots_init(struct sw_slots *s, struct sw_slot *slot, __u32 shift,
				 __u64 most_bytes)
{
	s->slot = slot;
	s->head = 0;
	s->tail = 0;
	s->seen = 0;
	s->bytes = 0;
	s->most_bytes = most_bytes;
	s->mask = (1u << shift) - 1;
	s->shift = shift;
}

static inline __u32 sw_slots_index(const struct sw_slots *s, __u64 sequence)
{
	return (__u32)sequence & s->mask;
}

/* Never 0, so that an all-zero verdict names nothing. */
static inline __u32 sw_slots_generation(const struct sw_slots *s, __u64 sequence)
{
	__u32 generation = (__u32)((sequence >> s->shift) + 1);

	return generation ? generation : ~0u;
}

static inline int sw_slots_full(const struct sw_slots *s)
{
	return s->head - s->tail > s->mask;
}

static inline int sw_slots_over(const struct sw_slots *s, __u32 bytes)
{
	return s->bytes + bytes > s->most_bytes;
}

/* Not when full or over. Returns the sequence number. */
static inline __u64 sw_slots_take(struct sw_slots *s, __u32 bytes, __u64 deadline)
{
	__u64 sequence = s->head++;
	struct sw_slot *slot = &s->slot[sw_slots_index(s, sequence)];

	slot->deadline = deadline;
	slot->bytes = bytes;
	slot->state = SW_SLOT_HELD;
	s->bytes += bytes;
	return sequence;
}

/* Ends the hold of the slot; it may be taken again once `tail` has passed it. */
static inline void sw_slots_release(struct sw_slots *s, __u32 index)
{
	struct sw_slot *slot = &s->slot[index];

	s->bytes -= slot->bytes;
	slot->bytes = 0;
	slot->state = SW_SLOT_DONE;
	while (s->tail != s->head && s->slot[sw_slots_index(s, s->tail)].state == SW_SLOT_DONE) {
		s->slot[sw_slots_index(s, s->tail)].state = SW_SLOT_FREE;
		s->tail++;
	}
}

/*
 * What `slot` and `generation` of a verdict name: the sequence number if that
 * packet is held now, else ~0. `slot` comes from user space: the caller has
 * clamped it below speculation (array_index_nospec) if it matters there.
 */
#define SW_SEQUENCE_NONE (~0ULL)
static inline __u64 sw_slots_find(const struct sw_slots *s, __u32 slot, __u32 generation)
{
	__u64 sequence;

	if (slot > s->mask || s->slot[slot].state != SW_SLOT_HELD)
		return SW_SEQUENCE_NONE;
	/* the only sequence number from tail to head that lies in this slot */
	sequence = s->tail + ((slot - (__u32)s->tail) & s->mask);
	if (sequence >= s->head || sw_slots_generation(s, sequence) != generation)
		return SW_SEQUENCE_NONE;
	return sequence;
}

/* A verdict named this packet: readers need not be woken for it or those before it. */
static inline void sw_slots_note(struct sw_slots *s, __u64 sequence)
{
	if (sequence >= s->seen)
		s->seen = sequence + 1;
}

/* The oldest packet that is held and past its deadline (or any, if `all`), else ~0. */
static inline __u64 sw_slots_expired(const struct sw_slots *s, __u64 now, int all)
{
	const struct sw_slot *slot = &s->slot[sw_slots_index(s, s->tail)];

	/* tail always rests on a HELD slot, or on head */
	if (s->tail == s->head || (!all && (__s64)(now - slot->deadline) < 0))
		return SW_SEQUENCE_NONE;
	return s->tail;
}

/* Frames that no verdict has named: what poll() is about. */
static inline __u64 sw_slots_unseen(const struct sw_slots *s)
{
	__u64 from = s->seen > s->tail ? s->seen : s->tail;

	return s->head - from;
}

#endif
