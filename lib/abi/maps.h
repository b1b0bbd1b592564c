/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * Names and sizes of the maps; the only way in which user space and the object
 * find each other. One set of maps belongs to one interface.
 *
 *   X(variable, "name", "what it holds")
 */
#ifndef SYNWARD_ABI_MAPS_H
#define SYNWARD_ABI_MAPS_H

#include "event.h"
#include "flow.h"
#include "metadata.h"
#include "policy.h"
#include "reasons.h"

/* A name has at most 15 characters. */
#define SW_MAPS(X)                                                             \
	X(memory, "sw_memory", "struct sw_memory: policy, state, filter, gates")     \
	X(addresses, "sw_addresses", "struct sw_address_key -> index")         \
	X(stats, "sw_stats", "per CPU: service -> struct sw_stats")            \
	X(cpu, "sw_cpu", "CPU -> struct sw_cpu")                               \
	X(flows, "sw_flows", "set -> struct sw_flow_set")                      \
	X(exact, "sw_exact", "generation and set -> struct sw_source_set")     \
	X(gate, "sw_gate", "generation and word -> 64 bits of a large exact gate") \
	X(prefix4, "sw_prefix4", "struct sw_prefix4 -> fate and length")       \
	X(prefix6, "sw_prefix6", "struct sw_prefix6 -> fate and length")       \
	X(tickets, "sw_tickets", "LRU: struct sw_ticket_key -> struct sw_ticket") \
	X(events, "sw_events", "ring buffer of struct sw_event")

/* Entries; a loader may choose another power of two of flows and sources. */
#define SW_FLOWS 65536
#define SW_SOURCES 131072
#define SW_SOURCES_LEAST 4096
#define SW_PREFIXES (1 << 23) /* of a family; the trie takes memory as they come */
#define SW_ADDRESSES 4096
#define SW_TICKETS 32768

/*
 * Of the single addresses that may be: a generation has this many sets in sw_exact, half of
 * them used when full, and as many words in sw_gate, 16 bits for each entry.
 */
#define SW_SOURCE_SETS(sources) ((sources) / (SW_SOURCE_WAYS / 2))

/* The programs of the object, by section and name. */
#define SW_PROGRAM_XDP "synward"
#define SW_PROGRAM_TC "synward_tc"
#define SW_PROGRAM_LEARN "synward_learn"

#endif
