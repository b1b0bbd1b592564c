/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Denied and allowed sources. A gate of one bit per hash answers for everybody
 * who is in no set (a bit costs 2 ns); an exact source is in one cache line of
 * sw_exact, and in the kernel's hash maps only if that line has no room for it.
 */
#ifndef SYNWARD_XDP_SETS_H
#define SYNWARD_XDP_SETS_H

#include "hash.h"
#include "maps.h"
#include "parse.h"

static __always_inline bool sets_bit(const __u64 *words, __u32 index)
{
	return words[index >> 6 & ((1 << SW_GATE_BITS) / 64 - 1)] >> (index & 63) & 1;
}

/*
 * The source's fate, or SW_SOURCE_OVERFLOW: it may be in the hash map. Out of
 * line: most sources are in the way tried first.
 */
__attribute__((noinline)) int sets_scan(__u32 index, __u64 tag)
{
	struct sw_source_set *set = bpf_map_lookup_elem(&sw_exact, &index);
	__u32 overflow, fate;
	int i;

	if (!set)
		return SW_FATE_NONE;
	/* first: an entry comes into its way before the set ceases to say so */
	overflow = *(volatile __u64 *)&set->entry[0] & SW_SOURCE_OVERFLOW;
	for (i = 0; i < SW_SOURCE_WAYS; i++) {
		fate = sw_source_fate(*(volatile __u64 *)&set->entry[i], tag);
		if (fate)
			return fate;
	}
	return overflow;
}

static __always_inline __u32 sets_exact(const struct sw_memory *memory, const struct view *v,
					const int family)
{
	__u64 hash = hash_exact(memory->config.hash_key, v->in.source, family);
	__u32 index = sw_source_index(hash, memory->config.source_shift);
	__u64 tag = sw_source_tag(hash, family), way = sw_source_way(hash);
	struct sw_source_set *set = bpf_map_lookup_elem(&sw_exact, &index);
	__u32 found, *fate;

	if (!set)
		return SW_FATE_NONE;
	BOUND_MASK(way, 7);
	found = sw_source_fate(*(volatile __u64 *)&set->entry[way], tag);
	if (found)
		return found;
	found = sets_scan(index, tag);
	if (found != SW_SOURCE_OVERFLOW)
		return found;
	if (family == SW_IPV4) {
		__be32 key = v->in.source[0];

		fate = bpf_map_lookup_elem(&sw_exact4, &key);
	} else {
		__u64 key[2] = { v->in.source[0], v->in.source[1] };

		fate = bpf_map_lookup_elem(&sw_exact6, key);
	}
	return fate ? *fate : SW_FATE_NONE;
}

static __always_inline __u32 sets_fate(const struct sw_memory *memory, const struct view *v,
				       const int family)
{
	const __u32 exact = family == SW_IPV4 ? SW_SET_EXACT4 : SW_SET_EXACT6;
	const __u32 prefix = family == SW_IPV4 ? SW_SET_PREFIX4 : SW_SET_PREFIX6;
	const struct sw_gate *gate = &memory->gate;
	__u32 sets = memory->config.fate_sets;
	__u32 found, *fate = 0;

	if (!(sets & (exact | prefix)))
		return SW_FATE_NONE;
	if (sets & exact &&
	    sets_bit(gate->exact[family], hash_gate_exact(memory->config.hash_key, v->in.source, family))) {
		found = sets_exact(memory, v, family);
		if (found)
			return found;
	}
	if (sets & prefix && sets_bit(gate->prefix[family], hash_gate_prefix(v->in.source, family))) {
		if (family == SW_IPV4) {
			__u32 key[2] = { 32, v->in.source[0] };

			fate = bpf_map_lookup_elem(&sw_prefix4, key);
		} else {
			__u32 key[5] = { 128, v->in.source[0], v->in.source[0] >> 32,
					 v->in.source[1], v->in.source[1] >> 32 };

			fate = bpf_map_lookup_elem(&sw_prefix6, key);
		}
		if (fate)
			return *fate;
	}
	return SW_FATE_NONE;
}

#endif
