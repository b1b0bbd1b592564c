// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BPF_PROG_TEST_RUN with repeat runs a program over and over on one frame and
 * does not restore it. These wrappers write the frame anew, each time a little
 * different, and tail-call the program under test. What they cost themselves is
 * measured with an empty program in its place.
 */
#include "frame.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} bench_target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_wrapper);
} bench_wrapper SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_ENTRIES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct bench_entry);
} bench_entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_progress);
} bench_progress SEC(".maps");

static __always_inline int wrap(struct xdp_md *ctx, const int version, const int prepared)
{
	const __u32 tcp = version == 4 ? ETH_HEADER + 20 : ETH_HEADER + 40;
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct bench_progress *progress;
	struct bench_wrapper *setup;
	struct bench_entry entry = {};
	__u32 zero = 0;
	__u64 sum, ip_sum;

	setup = bpf_map_lookup_elem(&bench_wrapper, &zero);
	progress = bpf_map_lookup_elem(&bench_progress, &zero);
	if (!setup || !progress)
		return XDP_ABORTED;
	/* what the program before us changed besides the bytes */
	if (ctx->data_meta != ctx->data && bpf_xdp_adjust_meta(ctx, ctx->data - ctx->data_meta))
		return XDP_ABORTED;
	if (data_end - data != setup->from.length &&
	    bpf_xdp_adjust_tail(ctx, (int)setup->from.length - (int)(data_end - data)))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;

	if (prepared) {
		__u64 index = setup->entry_random ? bench_random(&progress->seed) >> 32
						  : progress->next++;
		__u32 key = index & setup->entry_mask;
		struct bench_entry *from = bpf_map_lookup_elem(&bench_entries, &key);

		if (!from)
			return XDP_ABORTED;
		entry = *from;
	} else {
		__u64 a = bench_random(&progress->seed), b = bench_random(&progress->seed);

		entry.source[0] = setup->source[0] | ((__u32)a & setup->source_mask[0]);
		if (version == 6) {
			entry.source[1] =
				setup->source[1] | ((__u32)(a >> 32) & setup->source_mask[1]);
			entry.source[2] =
				setup->source[2] | ((__u32)(b >> 16) & setup->source_mask[2]);
			entry.source[3] =
				setup->source[3] | ((__u32)(b >> 8) & setup->source_mask[3]);
		}
		entry.port = bpf_htons((__u16)(a >> 40) | 1024);
		entry.seq = b;
		if (setup->vary & BENCH_VARY_ACK)
			entry.ack = b >> 32;
	}

	if (bench_copy(data, data_end, &setup->from))
		return XDP_ABORTED;
	sum = setup->from.tcp_sum;
	ip_sum = setup->from.ip_sum;
	if (data + tcp + 20 > data_end)
		return XDP_ABORTED;
	if (version == 4) {
		*(__be32 *)(data + IP4_SOURCE) = entry.source[0];
		*(__u16 *)(data + IP4_CHECKSUM) = bench_fold(ip_sum + entry.source[0]);
		sum += entry.source[0];
	} else {
		__builtin_memcpy(data + IP6_SOURCE, entry.source, 16);
		sum += (__u64)entry.source[0] + entry.source[1] + entry.source[2] + entry.source[3];
	}
	*(__be16 *)(data + tcp) = entry.port;
	*(__be32 *)(data + tcp + 4) = entry.seq;
	*(__be32 *)(data + tcp + 8) = entry.ack;
	sum += (__u64)entry.port + entry.seq + entry.ack;
	if (prepared && setup->echo) {
		if (data + tcp + 32 > data_end)
			return XDP_ABORTED;
		*(__be32 *)(data + tcp + 28) = entry.echo;
		sum += entry.echo;
	}
	*(__u16 *)(data + tcp + 16) = bench_fold(sum);
	/*
	 * A locked operation empties the store buffer: in life the frame lies in
	 * the cache, and a wide load right behind these narrow stores would wait
	 * for them on the account of the program under test. It also keeps the
	 * processor from running the program ahead, in the shadow of the wrapper.
	 */
	if (setup->fence)
		__sync_fetch_and_add(&progress->fence, 1);
	bpf_tail_call(ctx, &bench_target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_random4(struct xdp_md *ctx)
{
	return wrap(ctx, 4, 0);
}

SEC("xdp")
int bench_random6(struct xdp_md *ctx)
{
	return wrap(ctx, 6, 0);
}

SEC("xdp")
int bench_prepared4(struct xdp_md *ctx)
{
	return wrap(ctx, 4, 1);
}

SEC("xdp")
int bench_prepared6(struct xdp_md *ctx)
{
	return wrap(ctx, 6, 1);
}

/* In the place of the program under test. */
SEC("xdp")
int bench_empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* The same, leaving the wrapper a length to restore ... */
SEC("xdp")
int bench_empty_tail(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, -4) ? XDP_ABORTED : XDP_PASS;
}

/* ... or metadata to take away. */
SEC("xdp")
int bench_empty_meta(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_meta(ctx, -8) ? XDP_ABORTED : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
