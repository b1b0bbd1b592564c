/* SPDX-License-Identifier: GPL-2.0-only */
/* Events to user space: arming, and a few samples of what is not passed. */
#ifndef SYNWARD_XDP_EVENTS_H
#define SYNWARD_XDP_EVENTS_H

#include "maps.h"
#include "parse.h"

static __always_inline void events_arming(enum sw_event_type type, __u32 service, __u32 rate)
{
	struct sw_event *event = bpf_ringbuf_reserve(&sw_events, sizeof(*event), 0);

	if (!event)
		return; /* nobody reads; the state is in sw_state */
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->type = type;
	event->service = service;
	event->rate = rate;
	bpf_ringbuf_submit(event, 0);
}

/* At most SW_SAMPLES_PER_SECOND for each CPU: waking the reader costs microseconds. */
static __always_inline void events_sample(const struct sw_config *config, const struct view *v,
					  __u32 service, enum sw_reason reason, __u32 now,
					  const int family)
{
	struct sw_cpu *cpu = cpu_get();
	struct sw_event *event;

	if (!cpu || now - cpu->sample_tick < config->sample_ticks)
		return;
	cpu->sample_tick = now;
	event = bpf_ringbuf_reserve(&sw_events, sizeof(*event), 0);
	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->type = SW_EVENT_SAMPLE;
	event->service = service;
	event->reason = reason;
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
	bpf_ringbuf_submit(event, 0);
}

#endif
