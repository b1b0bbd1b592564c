/* SPDX-License-Identifier: GPL-2.0-only */
/* Every exit counts one reason; here and nowhere else. */
#ifndef SYNWARD_XDP_STATS_H
#define SYNWARD_XDP_STATS_H

#include "maps.h"
#include "parse.h"

static __always_inline void stats_count(__u32 service, enum sw_reason reason)
{
	struct sw_stats *stats = bpf_map_lookup_elem(&sw_stats, &service);
	__u64 slot = reason;

	BOUND_MASK(slot, 63);
	if (stats)
		stats->packets[slot]++;
}

#endif
