/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many SYN-ACKs may leave: synward must not become a reflector. Limits of
 * one CPU each; that of a source prefix is picked by a keyed hash, because a
 * hash map would cost more than the cookie.
 */
#ifndef SYNWARD_XDP_BUDGET_H
#define SYNWARD_XDP_BUDGET_H

#include "hash.h"
#include "maps.h"

/*
 * Generic cell rate algorithm (ITU-T I.371, annex A): `*arrival` is when the
 * next packet would come if all came evenly. One that is further ahead than the
 * algorithm can make it is a time gone by (or the clock's wrap): start anew.
 */
static __always_inline bool budget_take(__u32 *arrival, const struct sw_rate_limit *limit, __u32 now)
{
	__u32 time = now << SW_TICK_SHIFT;
	__u32 ahead = *arrival - time;

	if (ahead > limit->tolerance + limit->interval)
		ahead = 0;
	if (ahead > limit->tolerance)
		return false;
	*arrival = time + ahead + limit->interval;
	return true;
}

/* SW_REASON_COUNT: the reply may leave. */
static __always_inline enum sw_reason budget_reply(const struct sw_config *config,
						   struct sw_cpu *cpu, const __u64 source[2],
						   __u32 now, const int family)
{
	if (config->prefix.tolerance) {
		__u32 index = hash_prefix(config->hash_key, source, family);

		if (!budget_take(&cpu->prefix[index], &config->prefix, now))
			return SW_REASON_SYN_OVER_PREFIX;
	}
	if (config->reply.tolerance && !budget_take(&cpu->reply, &config->reply, now))
		return SW_REASON_SYN_OVER_BUDGET;
	return SW_REASON_COUNT;
}

#endif
