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
	X(memory, "sw_memory", "struct sw_memory: policy, state, filter, gate")     \
	X(addresses, "sw_addresses", "struct sw_address_key -> index")         \
	X(stats, "sw_stats", "per CPU: service -> struct sw_stats")            \
	X(cpu, "sw_cpu", "CPU -> struct sw_cpu")                               \
	X(flows4, "sw_flows4", "LRU: struct sw_flow4 -> struct sw_flow")       \
	X(flows6, "sw_flows6", "LRU: struct sw_flow6 -> struct sw_flow")       \
	X(exact4, "sw_exact4", "IPv4 address -> fate")                         \
	X(exact6, "sw_exact6", "IPv6 address -> fate")                         \
	X(prefix4, "sw_prefix4", "struct sw_prefix4 -> fate")                  \
	X(prefix6, "sw_prefix6", "struct sw_prefix6 -> fate")                  \
	X(events, "sw_events", "ring buffer of struct sw_event")

/* Entries; a loader may choose others for the flow tables and source sets. */
#define SW_FLOWS 65536
#define SW_SOURCES 131072
#define SW_ADDRESSES 4096

/* The programs of the object, by section and name. */
#define SW_PROGRAM_XDP "synward"
#define SW_PROGRAM_TC "synward_tc"
#define SW_PROGRAM_LEARN "synward_learn"

#endif
