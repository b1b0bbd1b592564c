/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known connections, and the filter that answers "never seen" for a spoofed
 * packet in a nanosecond or two. Two stamp generations count, so that the
 * daemon can renew the filter by walking the sockets again; see
 * docs/architecture.md.
 */
#ifndef SYNWARD_XDP_FLOWS_H
#define SYNWARD_XDP_FLOWS_H

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* The stamp of a tuple; never NULL in practice. */
static __always_inline __u8 *flows_stamp_of(const struct sw_config *config, const __u64 source[2],
					    __u32 ports, const int family)
{
	__u32 zero = 0;
	struct sw_filter *filter = bpf_map_lookup_elem(&sw_filter, &zero);
	__u64 slot = hash_filter(config->hash_key, source, ports, family);

	if (!filter)
		return 0;
	return &filter->stamp[slot & ((1 << SW_FILTER_SHIFT) - 1)];
}

static __always_inline bool flows_maybe(const struct sw_config *config, const struct sw_state *state,
					const struct view *v, const int family)
{
	__u8 *stamp;

	if (state->trusted != state->armings)
		return true; /* the sockets have not been walked since arming */
	stamp = flows_stamp_of(config, v->in.source, v->in.ports, family);
	return !stamp || *stamp == config->stamp[0] || *stamp == config->stamp[1];
}

static __always_inline void flows_stamp(const struct sw_config *config, const __u64 source[2],
					__u32 ports, const int family)
{
	__u8 *stamp = flows_stamp_of(config, source, ports, family);

	if (stamp && *stamp != config->stamp_new)
		*stamp = config->stamp_new;
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

static __always_inline void flows_add(const struct sw_config *config, const struct view *v,
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
	flows_stamp(config, v->in.source, v->in.ports, family);
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
