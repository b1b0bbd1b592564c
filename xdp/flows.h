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

/* The word pair of a tuple's bit; *bit is its mask. */
static __always_inline __u64 *flows_bit(struct sw_memory *memory, const __u64 source[2], __u32 ports,
					__u64 *bit, const int family)
{
	__u64 slot = hash_filter(memory->config.hash_key, source, ports, family);

	*bit = 1ULL << (slot & 63);
	return memory->filter.bits[slot >> 6 & ((1 << SW_FILTER_SHIFT) / 64 - 1)];
}

static __always_inline bool flows_maybe(struct sw_memory *memory, const struct sw_state *state,
					const struct view *v, const int family)
{
	__u64 bit, *pair;

	if (state->trusted != state->armings)
		return true; /* the sockets have not been walked since arming */
	pair = flows_bit(memory, v->in.source, v->in.ports, &bit, family);
	return (pair[0] | pair[1]) & bit;
}

static __always_inline void flows_stamp(struct sw_memory *memory, const __u64 source[2], __u32 ports,
					const int family)
{
	__u64 bit, *word = flows_bit(memory, source, ports, &bit, family);

	if (memory->config.stamp & 1)
		word++;
	if (!(*word & bit))
		__sync_fetch_and_or(word, bit);
}

static __always_inline void flows_key4(struct sw_flow4 *key, const struct view *v)
{
	key->source = v->in.source[0];
	key->destination = v->in.destination[0];
	*(__u32 *)&key->source_port = v->in.ports;
}

static __always_inline void flows_key6(struct sw_flow6 *key, const struct view *v)
{
	key->source[0] = v->in.source[0];
	key->source[1] = v->in.source[0] >> 32;
	key->source[2] = v->in.source[1];
	key->source[3] = v->in.source[1] >> 32;
	key->destination[0] = v->in.destination[0];
	key->destination[1] = v->in.destination[0] >> 32;
	key->destination[2] = v->in.destination[1];
	key->destination[3] = v->in.destination[1] >> 32;
	*(__u32 *)&key->source_port = v->in.ports;
}

static __always_inline struct sw_flow *flows_find(const struct view *v, const int family)
{
	if (family == SW_IPV4) {
		struct sw_flow4 key;

		flows_key4(&key, v);
		return bpf_map_lookup_elem(&sw_flows4, &key);
	} else {
		struct sw_flow6 key;

		flows_key6(&key, v);
		return bpf_map_lookup_elem(&sw_flows6, &key);
	}
}

static __always_inline void flows_add(struct sw_memory *memory, const struct view *v,
				      const struct sw_flow *flow, const int family)
{
	if (family == SW_IPV4) {
		struct sw_flow4 key;

		flows_key4(&key, v);
		bpf_map_update_elem(&sw_flows4, &key, flow, BPF_ANY);
	} else {
		struct sw_flow6 key;

		flows_key6(&key, v);
		bpf_map_update_elem(&sw_flows6, &key, flow, BPF_ANY);
	}
	flows_stamp(memory, v->in.source, v->in.ports, family);
}

static __always_inline void flows_delete(const struct view *v, const int family)
{
	if (family == SW_IPV4) {
		struct sw_flow4 key;

		flows_key4(&key, v);
		bpf_map_delete_elem(&sw_flows4, &key);
	} else {
		struct sw_flow6 key;

		flows_key6(&key, v);
		bpf_map_delete_elem(&sw_flows6, &key);
	}
}

#endif
