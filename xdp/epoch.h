/* SPDX-License-Identifier: GPL-2.0-only */
/* The keys of the current and the previous epoch, derived once a minute by each CPU. */
#ifndef SYNWARD_XDP_EPOCH_H
#define SYNWARD_XDP_EPOCH_H

#include "cookie.h"
#include "maps.h"

static __always_inline __u32 epoch_now(const struct sw_config *config)
{
	return tick_now64() >> (config->epoch_shift & 63);
}

__attribute__((noinline)) int epoch_derive(__u32 epoch)
{
	struct sw_memory *memory = memory_get();
	struct sw_cpu *cpu = cpu_get();

	if (!memory || !cpu)
		return -1;
	/* in place: the stack has no room for it */
	cookie_derive(&cpu->epoch[epoch & 1], &memory->config.keyring, epoch);
	return 0;
}

static __always_inline const struct sw_epoch_key *epoch_key(const struct sw_config *config,
							    struct sw_cpu *cpu, __u32 epoch)
{
	struct sw_epoch_key *key = &cpu->epoch[epoch & 1];

	if (key->epoch != epoch || key->version != config->keyring.version)
		epoch_derive(epoch);
	return key;
}

#endif
