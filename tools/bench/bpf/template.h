/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space hands to the frame-making BPF programs: frames whose varying
 * fields are zero, with the one's complement sums of the rest, so that a
 * program only adds what it filled in. Shared by flood.bpf.c, wrapper.bpf.c
 * and C++.
 */
#ifndef SYNWARD_BENCH_TEMPLATE_H
#define SYNWARD_BENCH_TEMPLATE_H

#include <linux/types.h>

#define BENCH_FRAME 128	  /* bytes; every frame is shorter */
#define BENCH_TEMPLATES 4 /* power of two */

#define BENCH_VARY_SOURCE 0x01 /* address within the prefix */
#define BENCH_VARY_PORT 0x02   /* source port 1024 and up */
#define BENCH_VARY_SEQ 0x04
#define BENCH_VARY_ACK 0x08

struct bench_template {
	__u8 frame[BENCH_FRAME];
	__u32 length;  /* of the frame */
	__u32 tcp;     /* offset of the TCP header */
	__u32 ip_sum;  /* unfolded sum of the IPv4 header */
	__u32 tcp_sum; /* unfolded sum of pseudo header and segment */
};

struct bench_flood {
	struct bench_template templates[BENCH_TEMPLATES];
	__u32 template_mask;   /* number of templates - 1 */
	__u32 version;	       /* 4 or 6 */
	__u32 vary;	       /* BENCH_VARY_* */
	__u32 checksum_offset; /* of the TCP header; 0: the frame has none (fragment) */
	__u32 interface;       /* index */
	__u32 reserved;
	__u64 gap;	       /* ns between two frames; 0: no spacing */
	__be32 source[4];      /* prefix; IPv4 in the first word */
	__be32 source_mask[4]; /* the bits that vary */
};

/* A prepared packet: what a wrapper fills in when it does not draw it. */
struct bench_entry {
	__be32 source[4]; /* IPv4 in the first word */
	__be32 seq;
	__be32 ack;
	__be32 echo; /* TSecr of a NOP NOP timestamp option */
	__be16 port;
	__u16 reserved;
};

#define BENCH_ENTRIES 65536

struct bench_wrapper {
	struct bench_template from;
	__be32 source[4];      /* prefix; IPv4 in the first word */
	__be32 source_mask[4]; /* the bits that vary */
	__u32 vary;	       /* BENCH_VARY_* */
	__u32 entry_mask;      /* number of entries - 1 */
	__u32 entry_random;    /* 1: any entry, 0: the next one */
	__u32 echo;	       /* 1: the entries' echo goes into the packet */
	__u32 fence;	       /* 1: the program starts when the wrapper is done */
	__u32 reserved;
};

/* Of one CPU. */
struct bench_progress {
	__u64 seed;
	__u64 next; /* entry, or time of the next frame */
	__u64 fence;
	__u64 made; /* frames */
	__u64 reserved[4];
};

#endif
