/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What traffic.bpf.c sends; shared with C++. */
#ifndef SYNWARD_BENCH_TRAFFIC_H
#define SYNWARD_BENCH_TRAFFIC_H

#include <linux/types.h>

#define BENCH_TRAFFIC_FRAME 64 /* bytes: Ethernet, IPv4, UDP, padding */

/*
 * The source address is one of `span` from `base` on. A port that is not drawn
 * follows from the address, so that there are `span` flows.
 */
struct bench_traffic {
	__u8 frame[BENCH_TRAFFIC_FRAME]; /* source, port and IP checksum zero */
	__u32 ip_sum;			 /* unfolded sum of the IPv4 header */
	__u32 base;			 /* host byte order */
	__u32 span;			 /* 1 and more */
	__u32 random_port;
	__u32 interface; /* index */
	__u32 reserved;
};

#endif
