/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many SYN-ACKs may leave: synward must not become a reflector. Token
 * buckets of one CPU each, refilled by ticks; the bucket of a source prefix is
 * picked by a keyed hash, because a hash map would cost more than the cookie.
 */
#ifndef SYNWARD_XDP_BUDGET_H
#define SYNWARD_XDP_BUDGET_H

#include "hash.h"
#include "maps.h"

#define BUDGET_ONE 256 /* one token, 24.8 fixed point */

static __always_inline bool budget_take(struct sw_bucket *bucket, const struct sw_rate_limit *limit,
					__u32 now)
{
	__u32 elapsed = now - bucket->tick;
	__u32 burst = limit->burst;
	__u64 tokens = bucket->tokens;

	if (elapsed) {
		tokens += (__u64)elapsed * limit->rate;
		if (tokens > burst)
			tokens = burst;
		bucket->tick = now;
	}
	if (tokens < BUDGET_ONE) {
		bucket->tokens = tokens;
		return false;
	}
	bucket->tokens = tokens - BUDGET_ONE;
	return true;
}

/* SW_REASON_COUNT: the reply may leave. */
static __always_inline enum sw_reason budget_reply(const struct sw_config *config,
						   struct sw_cpu *cpu, const __u64 source[2],
						   __u32 now, const int family)
{
	if (config->prefix.burst) {
		__u32 index = hash_prefix(config->hash_key, source, family);

		if (!budget_take(&cpu->prefix[index], &config->prefix, now))
			return SW_REASON_SYN_OVER_PREFIX;
	}
	if (config->reply.burst && !budget_take(&cpu->reply, &config->reply, now))
		return SW_REASON_SYN_OVER_BUDGET;
	return SW_REASON_COUNT;
}

#endif
