/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/* Records of the ring buffer sw_events, from the BPF programs to one reader. */
#ifndef SYNWARD_ABI_EVENT_H
#define SYNWARD_ABI_EVENT_H

#include "escalate.h"

/* X(NAME, name, "what happened") */
#define SW_EVENTS(X)                                                              \
	X(ARMED, armed, "SYN rate over the threshold: answering with cookies")    \
	X(OVERFLOW, overflow, "listen queue filling up: answering with cookies")  \
	X(DISARMED, disarmed, "SYN rate below the threshold for the hold time")   \
	X(SAMPLE, sample, "one packet of many that were not passed")              \
	X(HANDSHAKE, handshake, "a source proved itself by a good cookie")         \
	X(SHAPE, shape, "one SYN of many that came while nothing was armed")

enum sw_event_type {
#define X(NAME, name, text) SW_EVENT_##NAME,
	SW_EVENTS(X)
#undef X
		SW_EVENT_COUNT
};

struct sw_event {
	__u64 time;	/* ns, CLOCK_MONOTONIC */
	__u8 type;	/* enum sw_event_type */
	__u8 service;	/* index */
	__u8 reason;	/* enum sw_reason (sample) */
	__u8 family;	/* enum sw_family (all but arming) */
	__u32 rate;	/* SYNs a second (armed, disarmed) */
	__u8 source[16]; /* IPv4 in the first four bytes */
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u32 reserved;
	struct sw_shape shape; /* shape */
};
SW_ASSERT_SIZE(struct sw_event, 72);

#define SW_EVENTS_BYTES 262144
#define SW_HANDSHAKES_PER_SECOND 2048 /* events of one CPU */
#define SW_SAMPLES_PER_SECOND 8 /* of one CPU */

#endif
