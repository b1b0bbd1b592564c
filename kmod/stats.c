// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>

#include "stats.h"

enum action { PASS, DROP, TX, POLICY, TC, RING };

/* clang-format off */
static const u8 actions[SW_REASON_COUNT] = {
#define X(NAME, name, action, text) \
	[SW_REASON_##NAME] = action,
	SW_REASONS(X)
#undef X
};

/* clang-format on */

bool sw_stats_shown(enum sw_reason reason)
{
	return actions[reason] == RING;
}

u64 sw_stats_sum(const struct sw_stats __percpu *stats, enum sw_reason reason)
{
	u64 sum = 0;
	int cpu;

	/* all CPUs that may ever be: what one that is offline now has counted counts */
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(stats, cpu)->packets[reason]);
	return sum;
}
