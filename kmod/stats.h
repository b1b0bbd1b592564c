/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters: one per enum sw_reason, per CPU and namespace. Only the reasons
 * whose ACTION is RING (lib/abi/reasons.h) are ever counted here, or shown.
 */
#ifndef SYNWARD_STATS_H
#define SYNWARD_STATS_H

#include <linux/percpu.h>

#include "lib/abi/reasons.h"

/* Any context. */
static inline void sw_stats_add(struct sw_stats __percpu *stats, enum sw_reason reason, u64 packets)
{
	this_cpu_add(stats->packets[reason], packets);
}

/* Whether the module counts this reason. */
bool sw_stats_shown(enum sw_reason reason);

u64 sw_stats_sum(const struct sw_stats __percpu *stats, enum sw_reason reason);

#endif
