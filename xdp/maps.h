/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps, one set for each interface. Names and contents are described in
 * lib/abi/maps.h; sizes here are what `ip link` creates.
 */
#ifndef SYNWARD_XDP_MAPS_H
#define SYNWARD_XDP_MAPS_H

#include "kernel.h"
#include "abi/maps.h"

#define SW_ARRAY(map_name, count, value_type, flags_)      \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);          \
		__uint(max_entries, count);                \
		__uint(map_flags, flags_);                 \
		__type(key, __u32);                        \
		__type(value, value_type);                 \
	} map_name SEC(".maps")

#define SW_HASH(map_name, map_type, count, key_type, value_type, flags_) \
	struct {                                                         \
		__uint(type, map_type);                                  \
		__uint(max_entries, count);                              \
		__uint(map_flags, flags_);                               \
		__type(key, key_type);                                   \
		__type(value, value_type);                               \
	} map_name SEC(".maps")

SW_ARRAY(sw_memory, 1, struct sw_memory, BPF_F_MMAPABLE);
SW_ARRAY(sw_cpu, SW_CPUS, struct sw_cpu, 0);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SW_SERVICES);
	__type(key, __u32);
	__type(value, struct sw_stats);
} sw_stats SEC(".maps");

/* Not preallocated: an administrator's lists are mostly empty. */
SW_HASH(sw_addresses, BPF_MAP_TYPE_HASH, SW_ADDRESSES, struct sw_address_key, __u32,
	BPF_F_NO_PREALLOC);
SW_ARRAY(sw_exact, SW_GENERATIONS * SW_SOURCE_SETS(SW_SOURCES), struct sw_source_set,
	 BPF_F_MMAPABLE);
SW_ARRAY(sw_gate, SW_GENERATIONS * SW_SOURCE_SETS(SW_SOURCES), __u64, BPF_F_MMAPABLE);
SW_HASH(sw_prefix4, BPF_MAP_TYPE_LPM_TRIE, SW_GENERATIONS * SW_PREFIXES, struct sw_prefix4, __u32,
	BPF_F_NO_PREALLOC);
SW_HASH(sw_prefix6, BPF_MAP_TYPE_LPM_TRIE, SW_GENERATIONS * SW_PREFIXES, struct sw_prefix6, __u32,
	BPF_F_NO_PREALLOC);

SW_ARRAY(sw_flows, SW_FLOWS / SW_FLOW_WAYS, struct sw_flow_set, BPF_F_MMAPABLE);

SW_HASH(sw_tickets, BPF_MAP_TYPE_LRU_HASH, SW_TICKETS, struct sw_ticket_key, struct sw_ticket, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SW_EVENTS_BYTES);
} sw_events SEC(".maps");

static __always_inline struct sw_memory *memory_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sw_memory, &zero);
}

static __always_inline struct sw_cpu *cpu_get(void)
{
	__u32 cpu = bpf_get_smp_processor_id() & (SW_CPUS - 1);

	return bpf_map_lookup_elem(&sw_cpu, &cpu);
}

/*
 * Ticks. The object that `synward replay` loads has the captured packet's time,
 * which user space writes into its own copy of the configuration, as clock.
 */
static __always_inline __u64 tick_now64(void)
{
#ifdef SYNWARD_REPLAY
	struct sw_memory *memory = memory_get();

	return memory ? memory->config.user : 0;
#else
	return bpf_jiffies64();
#endif
}

/* The low 32 bits suffice for everything but the epoch and tickets. */
static __always_inline __u32 tick_now(void)
{
	return (__u32)tick_now64();
}

static __always_inline bool tick_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

#endif
