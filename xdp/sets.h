/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Denied and allowed sources. A gate of bits picked by hashes answers for nearly
 * everybody who is in no set (for a nanosecond); an exact source is in one of two cache
 * lines of sw_exact. An entry for the packet's port comes before those for every
 * port. What is looked at is of the generation that one word names,
 * read once for a packet: it sees the sets as they were or as they are.
 */
#ifndef SYNWARD_XDP_SETS_H
#define SYNWARD_XDP_SETS_H

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* The source's fate by one set. */
static __always_inline __u32 sets_one(__u32 index, __u64 tag)
{
	struct sw_source_set *set = bpf_map_lookup_elem(&sw_exact, &index);
	__u32 fate;
	int i;

	if (!set)
		return SW_FATE_NONE;
	for (i = 0; i < SW_SOURCE_WAYS; i++) {
		fate = sw_source_fate(*(volatile __u64 *)&set->entry[i], tag);
		if (fate)
			return fate;
	}
	return SW_FATE_NONE;
}

static __always_inline __u32 sets_exact(const struct sw_memory *memory, const __u64 source[2],
					__u32 port, __u32 sources, const int family)
{
	__u64 hash = hash_exact(memory->config.hash_key, source, port, family);
	__u32 most = memory->config.source_shift & 31;
	__u32 shift = sw_set_exact_shift(sw_set_gate_shift(sources), most);
	__u32 base = sw_set_generation(sources) << most;
	__u32 first = sw_source_index(hash, shift), index = base | first;
	__u64 tag = sw_source_tag(hash, family), way = sw_source_way(hash);
	struct sw_source_set *set = bpf_map_lookup_elem(&sw_exact, &index);
	__u32 found;

	if (!set)
		return SW_FATE_NONE;
	BOUND_MASK(way, 7);
	found = sw_source_fate(*(volatile __u64 *)&set->entry[way], tag);
	if (found)
		return found;
	found = sets_one(index, tag);
	if (found)
		return found;
	return sets_one(base | sw_source_other(first, hash, shift), tag);
}

/* Out of line: the caller's stack has no room for it, and strangers stop at the gate. */
__attribute__((noinline)) int sets_exact4(__u64 address, __u32 sources)
{
	struct sw_memory *memory = memory_get();
	__u64 source[2] = { address };

	return memory ? sets_exact(memory, source, 0, sources, SW_IPV4) : SW_FATE_NONE;
}

__attribute__((noinline)) int sets_exact6(__u64 address, __u64 rest, __u32 sources)
{
	struct sw_memory *memory = memory_get();
	__u64 source[2] = { address, rest };

	return memory ? sets_exact(memory, source, 0, sources, SW_IPV6) : SW_FATE_NONE;
}

/* May the exact sets hold the source? */
static __always_inline bool sets_gate_exact(const struct sw_memory *memory, const struct view *v,
					    __u32 sources, const int family)
{
	__u32 shift = sw_set_gate_shift(sources), generation = sw_set_generation(sources);
	__u64 bits, *word;
	__u32 index;

	if (shift == SW_GATE_BITS) {
		index = hash_gate_exact(memory->config.hash_key, v->in.source, SW_GATE_BITS, &bits,
					family);
		return !(bits & ~memory->gate.exact[generation][index & (SW_GATE_WORDS - 1)]);
	}
	index = hash_gate_exact(memory->config.hash_key, v->in.source, shift, &bits, family);
	index |= generation << (memory->config.source_shift & 31);
	word = bpf_map_lookup_elem(&sw_gate, &index);
	return word && !(bits & ~*(volatile __u64 *)word);
}

static __always_inline bool sets_gate_prefix(const struct sw_memory *memory, const struct view *v,
					     __u32 generation, const int family)
{
	__u32 bit = hash_gate_prefix(v->in.source, family);

	return memory->gate.prefix[generation][family][bit >> 6 & (SW_GATE_WORDS - 1)] >>
	       (bit & 63) & 1;
}

/*
 * The fate by the longest prefix, if any; the keys are struct sw_prefix4 and
 * sw_prefix6, in words. Out of line: the caller's stack has no room for them.
 */
__attribute__((noinline)) int sets_prefix4(__u64 source, __u32 generation)
{
	__u64 address = source << 8 | generation;
	__u32 key[3] = { 8 + 32, address, address >> 32 };
	__u32 *found = bpf_map_lookup_elem(&sw_prefix4, &key);

	return found ? *found & 0xff : SW_FATE_NONE;
}

__attribute__((noinline)) int sets_prefix6(__u64 source, __u64 rest, __u32 generation)
{
	__u64 high = source << 8 | generation, low = rest << 8 | source >> 56;
	__u32 key[6] = { 8 + 128, high, high >> 32, low, low >> 32, rest >> 56 };
	__u32 *found = bpf_map_lookup_elem(&sw_prefix6, &key);

	return found ? *found & 0xff : SW_FATE_NONE;
}

static __always_inline __u32 sets_prefix(const struct view *v, __u32 generation, const int family)
{
	return family == SW_IPV4 ? sets_prefix4(v->in.source[0], generation)
				 : sets_prefix6(v->in.source[0], v->in.source[1], generation);
}

/*
 * The fate by an entry for this destination port (big endian), of the sets in `sources`.
 * Only called where a gate is open and there is such an entry of anybody.
 */
__attribute__((noinline)) int sets_port4(__u64 address, __u32 port, __u32 sources)
{
	__u32 generation = sw_set_generation(sources), fate = SW_FATE_NONE;
	__u64 source[2] = { address };
	__u64 data = address << 24 | port << 8 | generation | SW_PREFIX_BY_PORT;
	__u32 key[3] = { 8 + 16 + 32, data, data >> 32 };
	struct sw_memory *memory = memory_get();
	__u32 *found;

	if (memory && sources & SW_SET_EXACT4)
		fate = sets_exact(memory, source, port, sources, SW_IPV4);
	if (fate || !(sources & SW_SET_PREFIX4))
		return fate;
	found = bpf_map_lookup_elem(&sw_prefix4, &key);
	return found ? *found & 0xff : SW_FATE_NONE;
}

__attribute__((noinline)) int sets_port6(__u64 address, __u64 rest, __u32 port, __u32 sources)
{
	__u32 generation = sw_set_generation(sources), fate = SW_FATE_NONE;
	__u64 source[2] = { address, rest };
	__u64 high = address << 24 | port << 8 | generation | SW_PREFIX_BY_PORT;
	__u64 low = rest << 24 | address >> 40;
	__u32 key[6] = { 8 + 16 + 128, high, high >> 32, low, low >> 32, rest >> 40 };
	struct sw_memory *memory = memory_get();
	__u32 *found;

	if (memory && sources & SW_SET_EXACT6)
		fate = sets_exact(memory, source, port, sources, SW_IPV6);
	if (fate || !(sources & SW_SET_PREFIX6))
		return fate;
	found = bpf_map_lookup_elem(&sw_prefix6, &key);
	return found ? *found & 0xff : SW_FATE_NONE;
}

static __always_inline __u32 sets_port(const struct view *v, __u32 sources, const int family)
{
	if (family == SW_IPV4)
		return sets_port4(v->in.source[0], v->in.ports >> 16, sources);
	return sets_port6(v->in.source[0], v->in.source[1], v->in.ports >> 16, sources);
}

static __always_inline __u32 sets_fate(const struct sw_memory *memory, const struct view *v,
				       const int family)
{
	const __u32 exact = family == SW_IPV4 ? SW_SET_EXACT4 : SW_SET_EXACT6;
	const __u32 prefix = family == SW_IPV4 ? SW_SET_PREFIX4 : SW_SET_PREFIX6;
	const __u32 port = family == SW_IPV4 ? SW_SET_PORT4 : SW_SET_PORT6;
	__u32 sources = *(volatile const __u32 *)&memory->config.sources;
	__u32 generation, found;

	if (!(sources & (exact | prefix)))
		return SW_FATE_NONE;
	generation = sw_set_generation(sources);
	if (sources & exact && sets_gate_exact(memory, v, sources, family)) {
		found = sources & port ? sets_port(v, sources, family) : SW_FATE_NONE;
		if (!found)
			found = family == SW_IPV4 ?
					sets_exact4(v->in.source[0], sources) :
					sets_exact6(v->in.source[0], v->in.source[1], sources);
		if (found)
			return found;
	}
	if (sources & prefix && sets_gate_prefix(memory, v, generation, family)) {
		found = sources & port ? sets_port(v, sources & ~exact, family) : SW_FATE_NONE;
		return found ? found : sets_prefix(v, generation, family);
	}
	return SW_FATE_NONE;
}

#endif
