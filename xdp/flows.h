/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known connections, and the filter that answers "never seen" for a spoofed
 * packet in a nanosecond or two. It has two generations, so that the daemon can
 * renew it by walking the sockets again; see docs/architecture.md.
 */
#ifndef SYNWARD_XDP_FLOWS_H
#define SYNWARD_XDP_FLOWS_H

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* The word of a slot's bit in a generation. */
static __always_inline __u64 *flows_word(struct sw_memory *memory, __u32 slot, __u8 stamp,
					 __u32 generation)
{
	__u64 word = sw_filter_word(slot, stamp, generation);

	BOUND_MASK(word, 8191); /* (1 << SW_FILTER_SHIFT) / 64 - 1 */
	return &memory->filter.bits[word][generation];
}

static __always_inline bool flows_maybe(struct sw_memory *memory, const struct sw_state *state,
					const struct view *v, const int family)
{
	__u32 slot;
	__u8 stamp;

	if (state->trusted != state->armings)
		return true; /* the sockets have not been walked since arming */
	stamp = *(volatile __u8 *)&memory->config.stamp; /* of that walk, or a later one */
	slot = hash_filter(memory->config.hash_key, v->in.source, v->in.ports, family);
	return (*flows_word(memory, slot, stamp, 0) | *flows_word(memory, slot, stamp, 1)) >>
	       (slot & 63) & 1;
}

static __always_inline void flows_stamp(struct sw_memory *memory, const __u64 source[2], __u32 ports,
					const int family)
{
	__u8 stamp = *(volatile __u8 *)&memory->config.stamp;
	__u32 slot = hash_filter(memory->config.hash_key, source, ports, family);
	__u64 *word = flows_word(memory, slot, stamp, sw_stamp_generation(stamp));
	__u64 bit = 1ULL << (slot & 63);

	if (!(*word & bit))
		__sync_fetch_and_or(word, bit);
}

static __always_inline struct sw_flow_set *flows_set(const struct sw_memory *memory, __u64 hash)
{
	__u32 index = hash >> 32 >> (32 - (memory->config.flow_shift & 31));

	return bpf_map_lookup_elem(&sw_flows, &index);
}

/* The way that holds the hash's tag, or -1. Out of line: most flows are in the way tried first. */
__attribute__((noinline)) int flows_scan(__u64 hash)
{
	struct sw_memory *memory = memory_get();
	struct sw_flow_set *set;
	int i;

	if (!memory)
		return -1;
	set = flows_set(memory, hash);
	if (!set)
		return -1;
	for (i = 0; i < SW_FLOW_WAYS; i++) {
		__u64 entry = set->entry[i];

		if ((__u32)entry == (__u32)hash && sw_flow_state_of(entry))
			return i;
	}
	return -1;
}

/* Stores the entry in the place of the same tag, else a free one, else the oldest. */
__attribute__((noinline)) int flows_put(__u64 hash, __u64 entry, __u32 now)
{
	struct sw_memory *memory = memory_get();
	__u32 oldest = 0, age, i;
	struct sw_flow_set *set;
	__u64 way;
	int found;

	if (!memory)
		return 0;
	set = flows_set(memory, hash);
	if (!set)
		return 0;
	way = sw_flow_way(hash);
	found = flows_scan(hash);
	if (found >= 0) {
		way = found;
	} else if (set->entry[way]) {
		for (i = 0; i < SW_FLOW_WAYS; i++) {
			if (!set->entry[i]) {
				way = i;
				break;
			}
			age = sw_flow_age(set->entry[i], now);
			if (age >= oldest) {
				oldest = age;
				way = i;
			}
		}
	}
	BOUND_MASK(way, 7);
	set->entry[way] = entry;
	return 0;
}

/*
 * Where the connection's entry is, or 0; *entry is what it said. Read once: another
 * CPU may put another connection there at any time.
 */
static __always_inline __u64 *flows_find(const struct sw_memory *memory, const struct view *v,
					 __u64 *entry, const int family)
{
	__u64 hash = hash_flow(memory->config.hash_key, v->in.source, v->in.destination,
			       v->in.ports, family);
	struct sw_flow_set *set = flows_set(memory, hash);
	__u64 way = sw_flow_way(hash);
	int found;

	if (!set)
		return 0;
	BOUND_MASK(way, 7);
	*entry = *(volatile __u64 *)&set->entry[way];
	if ((__u32)*entry == (__u32)hash && sw_flow_state_of(*entry))
		return &set->entry[way];
	found = flows_scan(hash);
	if (found < 0)
		return 0;
	way = found;
	BOUND_MASK(way, 7);
	*entry = *(volatile __u64 *)&set->entry[way];
	if ((__u32)*entry != (__u32)hash || !sw_flow_state_of(*entry))
		return 0;
	return &set->entry[way];
}

static __always_inline void flows_add(struct sw_memory *memory, const struct view *v, __u8 options,
				      enum sw_flow_state state, __u32 now, const int family)
{
	__u64 hash = hash_flow(memory->config.hash_key, v->in.source, v->in.destination,
			       v->in.ports, family);

	flows_put(hash, sw_flow_entry(hash, options, state, now), now);
	flows_stamp(memory, v->in.source, v->in.ports, family);
}

/*
 * The kernel has the connection, or it is still in use: says so, with the time. Not
 * if the entry is another one meanwhile, which nobody has confirmed.
 */
static __always_inline void flows_confirm(__u64 *place, __u64 entry, __u32 now)
{
	__sync_val_compare_and_swap(
		place, entry,
		sw_flow_entry(entry, sw_flow_options(entry), SW_FLOW_CONFIRMED, now));
}

static __always_inline void flows_delete(const struct sw_memory *memory, const struct view *v,
					 const int family)
{
	__u64 entry, *place = flows_find(memory, v, &entry, family);

	if (place)
		__sync_val_compare_and_swap(place, entry, 0);
}

#endif
