/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events to user space: arming, a few samples of what is not passed, and what
 * the daemon learns from. Waking the reader costs microseconds, so every kind
 * has its limit.
 */
#ifndef SYNWARD_XDP_EVENTS_H
#define SYNWARD_XDP_EVENTS_H

#include "budget.h"
#include "escalate.h"
#include "maps.h"
#include "parse.h"

static __always_inline struct sw_event *events_begin(enum sw_event_type type, __u32 service)
{
	struct sw_event *event = bpf_ringbuf_reserve(&sw_events, sizeof(*event), 0);

	if (!event)
		return 0; /* nobody reads */
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->type = type;
	event->service = service;
	return event;
}

static __always_inline void events_tuple(struct sw_event *event, const struct view *v,
					 const int family)
{
	event->family = family;
	if (family == SW_IPV4) {
		__builtin_memcpy(event->source, &v->in.source, 4);
		__builtin_memcpy(event->destination, &v->in.destination, 4);
	} else {
		__builtin_memcpy(event->source, &v->in.source, 16);
		__builtin_memcpy(event->destination, &v->in.destination, 16);
	}
	event->source_port = v->in.ports;
	event->destination_port = v->in.ports >> 16;
}

static __always_inline void events_arming(enum sw_event_type type, __u32 service, __u32 rate)
{
	struct sw_event *event = events_begin(type, service);

	if (!event)
		return; /* the state is in sw_state */
	event->rate = rate;
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/* Out of line, and of a copy: the packets that are not sampled shall not pay for it. */
__attribute__((noinline)) int events_sample_of(struct cookie_input *in, __u32 service, __u32 reason,
					       int family)
{
	struct view v = {};
	struct sw_event *event;

	if (!in)
		return 0;
	event = events_begin(SW_EVENT_SAMPLE, service);
	if (!event)
		return 0;
	v.in = *in;
	event->reason = reason;
	events_tuple(event, &v, family);
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	return 0;
}

/* At most SW_SAMPLES_PER_SECOND for each CPU. */
static __always_inline void events_sample(const struct sw_config *config, const struct view *v,
					  __u32 service, enum sw_reason reason, __u32 now,
					  const int family)
{
	struct sw_cpu *cpu = cpu_get();
	struct cookie_input in;

	if (!cpu || now - cpu->sample_tick < config->sample_ticks)
		return;
	cpu->sample_tick = now;
	in = v->in;
	events_sample_of(&in, service, reason, family);
}

/*
 * A source proved itself. At most SW_HANDSHAKES_PER_SECOND for each CPU, in
 * bursts of a quarter of them. The kernel wakes the reader only if it has read
 * everything before.
 */
static __always_inline void events_handshake(const struct sw_config *config, const struct view *v,
					     __u32 service, __u32 now, const int family)
{
	struct sw_rate_limit limit = {
		.interval = (config->hz << SW_TICK_SHIFT) / SW_HANDSHAKES_PER_SECOND,
		.tolerance = (config->hz << SW_TICK_SHIFT) / 4,
	};
	struct sw_cpu *cpu = cpu_get();
	struct sw_event *event;

	if (!cpu || !budget_take(&cpu->handshake, &limit, now))
		return;
	event = events_begin(SW_EVENT_HANDSHAKE, service);
	if (!event)
		return;
	events_tuple(event, v, family);
	bpf_ringbuf_submit(event, 0);
}

/* One SYN while nothing is armed, so that the daemon knows what is usual. */
static __always_inline void events_shape(struct xdp_md *ctx, const struct sw_config *config,
					 struct sw_cpu *cpu, const struct view *v, __u32 service,
					 __u32 now, const int family)
{
	struct sw_shape shape = {};
	struct options o = {};
	struct sw_event *event;

	if (!(config->flags & SW_FLAG_REPORT) || now - cpu->shape_tick < config->sample_ticks)
		return;
	cpu->shape_tick = now;
	if (options_read(ctx, (void *)(v->tcp + 1) - v->data, v->header - sizeof(struct tcphdr), &o) ||
	    !escalate_shape_of(v, &o, &shape, family))
		return;
	event = events_begin(SW_EVENT_SHAPE, service);
	if (!event)
		return;
	events_tuple(event, v, family);
	event->shape = shape;
	/* or an idle service's would fill the buffer unread, and the next arming not fit */
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

#endif
