/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arming by rate, in the kernel. SYNs are counted in windows of about 1/8 s: a
 * service is armed as soon as a window holds a full window's allowance, and
 * stays so until no window has reached the lower threshold for the hold time.
 * Each CPU counts on its own and tells the shared state every 16th SYN (an
 * atomic operation for every SYN would cost 6 ns).
 */
#ifndef SYNWARD_XDP_ARM_H
#define SYNWARD_XDP_ARM_H

#include "events.h"
#include "lookup.h"
#include "maps.h"
#include "services.h"

#define ARM_BATCH 16

static __always_inline bool arm_is_armed(const struct sw_service *service,
					 const struct sw_state *state, __u32 now)
{
	return state->armed && sw_ticks_within(now, state->armed_at, service->hold_ticks);
}

/* Not armed any more, but the cookies that it gave still live: a client may be on its way. */
static __always_inline bool arm_lingers(const struct sw_config *config,
					const struct sw_service *service,
					const struct sw_state *state, __u32 now)
{
	return state->armings && sw_ticks_within(now, state->armed_at,
						 service->hold_ticks + (2u << (config->epoch_shift & 31)));
}

/* Armed, but for so short that the kernel's own cookies of before still live (MAX_SYNCOOKIE_AGE). */
static __always_inline bool arm_is_fresh(const struct sw_config *config,
					 const struct sw_state *state, __u32 now)
{
	return sw_ticks_within(now, state->armed_since, 120 * config->hz);
}

static __always_inline __u32 arm_rate(const struct sw_config *config, __u32 syns)
{
	return (__u64)syns * config->hz >> config->window_shift;
}

static __always_inline void arm_now(struct sw_state *state, __u32 index, enum sw_event_type why,
				    __u32 rate, __u32 now)
{
	state->armed_at = now;
	if (state->armed)
		return;
	state->armed_since = now;
	/* before anybody sees it armed: the filter is not complete from here on */
	__sync_fetch_and_add(&state->armings, 1);
	if (__sync_val_compare_and_swap(&state->armed, 0, 1) != 0)
		return;
	state->peak_syns = 0;
	events_arming(why, index, rate);
}

/*
 * Adds what this CPU has counted. Returns whether a new window began. Kept out
 * of line: it runs for one SYN in 16.
 */
__attribute__((noinline)) int arm_account(__u32 index, __u32 generation, __u32 now, __u32 syns)
{
	struct sw_memory *memory = memory_get();
	__u32 window, old, total, new_window = 0;
	struct sw_service *service;
	struct sw_config *config;
	struct sw_state *state;

	if (!memory)
		return 0;
	config = &memory->config;
	service = services_get(memory, generation, index);
	state = services_state(memory, index);
	window = now >> (config->window_shift & 31);
	old = state->window;
	if (old != window && __sync_val_compare_and_swap(&state->window, old, window) == old) {
		total = __sync_lock_test_and_set(&state->syns, 0);
		state->last_syns = old + 1 == window ? total : 0;
		new_window = 1;
	}
	/*
	 * In any window: the hold time may end in the middle of one. SYNs have passed
	 * unstamped since, so it must not be prolonged, but armed anew.
	 */
	if (state->armed && !sw_ticks_within(now, state->armed_at, service->hold_ticks)) {
		if (__sync_val_compare_and_swap(&state->armed, 1, 0) == 1)
			events_arming(SW_EVENT_DISARMED, index, arm_rate(config, state->last_syns));
	}
	total = __sync_fetch_and_add(&state->syns, syns) + syns;
	if (total > state->peak_syns)
		state->peak_syns = total;
	if (total >= service->arm_syns)
		arm_now(state, index, SW_EVENT_ARMED, arm_rate(config, total), now);
	else if (state->armed && total >= service->disarm_syns)
		state->armed_at = now;
	return new_window;
}

/* One SYN for a service that is armed by rate; may arm it. */
static __always_inline void arm_syn(struct xdp_md *ctx, const struct sw_config *config,
				    const struct sw_service *service, struct sw_state *state,
				    __u32 index, struct view *v, __u32 now, const int family)
{
	__u32 window = now >> (config->window_shift & 31);
	struct listener_answer answer;
	struct sw_pending *pending;
	struct sw_cpu *cpu;
	__u32 syns;

	cpu = cpu_get();
	if (!cpu)
		return;
	pending = &cpu->pending[index & (SW_SERVICES - 1)];
	syns = pending->syns + 1;

	/* small thresholds want every SYN at once */
	if (pending->window == window && syns < ARM_BATCH && service->arm_syns >= 16 * ARM_BATCH) {
		pending->syns = syns;
		return;
	}
	pending->window = window;
	pending->syns = 0;
	if (!arm_account(index, config->generation, now, syns) || state->armed)
		return;
	events_shape(ctx, config, cpu, v, index, now, family);
	if (lookup_behind(service))
		return;
	/* once in a window: does the listener keep up? */
	answer.overflows = 0;
	lookup_listener_of(ctx, config, v, &answer, family);
	if (answer.overflows)
		arm_now(state, index, SW_EVENT_OVERFLOW, arm_rate(config, state->last_syns), now);
}

#endif
