// SPDX-License-Identifier: GPL-2.0-or-later
/* The two ends of the wire benchmark. */
#include "frame.h"

/* Replies that arrived, and everything else. */
struct bench_seen {
	__u64 replies; /* SYN-ACKs, or whatever the peer made of a SYN */
	__u64 others;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_seen);
} bench_seen SEC(".maps");

/*
 * At the flooding end: counts and drops. ARP and neighbour discovery pass, so
 * that the kernel's answers find their way.
 */
SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct bench_seen *seen;
	__u32 zero = 0;

	seen = bpf_map_lookup_elem(&bench_seen, &zero);
	if (!seen || data + 54 > data_end)
		return XDP_PASS;
	if (data[12] == 0x08 && data[13] == 0x00 && data[23] == 6) {
		seen->replies++;
		return XDP_DROP;
	}
	if (data[12] == 0x86 && data[13] == 0xdd && data[20] == 6) {
		seen->replies++;
		return XDP_DROP;
	}
	seen->others++;
	return XDP_PASS;
}

/*
 * Where clients share the wire with a flood: replies to the spoofed sources of
 * the flood (198.18.0.0/15, 2001:db8:bad::/48) are counted and dropped.
 */
SEC("xdp")
int bench_sink_spoofed(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct bench_seen *seen;
	__u32 zero = 0;

	seen = bpf_map_lookup_elem(&bench_seen, &zero);
	if (!seen || data + 54 > data_end)
		return XDP_PASS;
	if (data[12] == 0x08 && data[13] == 0x00 && data[23] == 6 && data[30] == 198 &&
	    (data[31] & 0xfe) == 18) {
		seen->replies++;
		return XDP_DROP;
	}
	if (data[12] == 0x86 && data[13] == 0xdd && data[20] == 6 && data[38] == 0x20 &&
	    data[39] == 0x01 && data[42] == 0x0b && data[43] == 0xad) {
		seen->replies++;
		return XDP_DROP;
	}
	seen->others++;
	return XDP_PASS;
}

/* The least a program that answers can do: turn the frame round. */
SEC("xdp")
int bench_reflect(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 low, a, b;
	__u16 high;
	int i;

	if (data + 74 > data_end)
		return XDP_PASS;
	if (*(__u16 *)(data + 12) == bpf_htons(0x0800)) {
		if (*(__u8 *)(data + 23) != 6)
			return XDP_PASS;
		a = *(__u32 *)(data + 26);
		*(__u32 *)(data + 26) = *(__u32 *)(data + 30);
		*(__u32 *)(data + 30) = a;
		a = *(__u32 *)(data + 34);
		*(__u32 *)(data + 34) = a << 16 | a >> 16;
	} else {
		if (*(__u16 *)(data + 12) != bpf_htons(0x86dd) || *(__u8 *)(data + 20) != 6)
			return XDP_PASS;
#pragma unroll
		for (i = 0; i < 4; i++) {
			a = *(__u32 *)(data + 22 + 4 * i);
			b = *(__u32 *)(data + 38 + 4 * i);
			*(__u32 *)(data + 22 + 4 * i) = b;
			*(__u32 *)(data + 38 + 4 * i) = a;
		}
		a = *(__u32 *)(data + 54);
		*(__u32 *)(data + 54) = a << 16 | a >> 16;
	}
	low = *(__u32 *)data;
	high = *(__u16 *)(data + 4);
	*(__u32 *)data = *(__u32 *)(data + 6);
	*(__u16 *)(data + 4) = *(__u16 *)(data + 10);
	*(__u32 *)(data + 6) = low;
	*(__u16 *)(data + 10) = high;
	return XDP_TX;
}

/* For the kernel's own listener: nothing, but the driver must run NAPI. */
SEC("xdp")
int bench_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
