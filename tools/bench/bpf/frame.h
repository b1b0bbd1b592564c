/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pieces of the programs that make frames: copying, random numbers, sums. */
#ifndef SYNWARD_BENCH_FRAME_H
#define SYNWARD_BENCH_FRAME_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "template.h"

#define ETH_HEADER 14
#define IP4_SOURCE (ETH_HEADER + 12)
#define IP4_CHECKSUM (ETH_HEADER + 10)
#define IP6_SOURCE (ETH_HEADER + 8)

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
static __always_inline __u64 bench_random(__u64 *state)
{
	__u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static __always_inline __u16 bench_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Copies the template in whole words; the last one overlaps. */
static __always_inline int bench_copy(void *data, void *data_end, const struct bench_template *from)
{
	__u32 rest = (from->length - 8) & (BENCH_FRAME - 1);
	int i;

#pragma unroll
	for (i = 0; i < BENCH_FRAME / 8; i++) {
		if (data + 8 * i + 8 > data_end)
			break;
		*(__u64 *)(data + 8 * i) = *(const __u64 *)(from->frame + 8 * i);
	}
	/* the compiler must keep the bound that the verifier sees */
	asm volatile("" : "+r"(rest));
	if (rest > BENCH_FRAME - 8 || data + rest + 8 > data_end)
		return -1;
	*(__u64 *)(data + rest) = *(const __u64 *)(from->frame + rest);
	return 0;
}

#endif
