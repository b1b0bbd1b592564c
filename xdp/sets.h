/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Denied and allowed sources. A gate of one bit per hash answers for everybody
 * who is in no set (a hash look-up that misses costs 19 ns, a bit 2).
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

static __always_inline __u32 sets_fate(const struct sw_memory *memory, const struct view *v,
				       const int family)
{
	const __u32 exact = family == SW_IPV4 ? SW_SET_EXACT4 : SW_SET_EXACT6;
	const __u32 prefix = family == SW_IPV4 ? SW_SET_PREFIX4 : SW_SET_PREFIX6;
	const struct sw_gate *gate = &memory->gate;
	__u32 sets = memory->config.fate_sets;
	__u32 *fate = 0;

	if (!(sets & (exact | prefix)))
		return SW_FATE_NONE;
	if (sets & exact &&
	    sets_bit(gate->exact[family], hash_gate_exact(memory->config.hash_key, v->in.source, family))) {
		if (family == SW_IPV4) {
			__be32 key = v->in.source[0];

			fate = bpf_map_lookup_elem(&sw_exact4, &key);
		} else {
			__u64 key[2] = { v->in.source[0], v->in.source[1] };

			fate = bpf_map_lookup_elem(&sw_exact6, key);
		}
		if (fate)
			return *fate;
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
