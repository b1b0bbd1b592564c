// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run with BPF_F_TEST_XDP_LIVE_FRAMES: every run makes one frame and sends it.
 * Frames come back from the receiver's page pool as the receiver left them, so
 * the whole frame is written each time.
 */
#include "frame.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_flood);
} bench_flood SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_progress);
} bench_progress SEC(".maps");

/*
 * Even spacing. When it is too early for a frame the run makes none; it costs
 * the CPU its time, but no burst overflows the receiver's queue.
 */
static __always_inline int too_early(struct bench_progress *progress, __u64 gap)
{
	__u64 now = bpf_ktime_get_ns();

	if (now < progress->next)
		return 1;
	/* what was missed is made up for, but not in a large burst */
	if (now - progress->next > 32 * gap)
		progress->next = now - 32 * gap;
	progress->next += gap;
	return 0;
}

SEC("xdp")
int bench_flood_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 zero = 0, tcp, sum_at;
	const struct bench_template *from;
	struct bench_flood *flood;
	__u64 sum, ip_sum, a, b;
	struct bench_progress *progress;
	__be32 seq = 0, ack = 0;
	__be16 port = 0;

	flood = bpf_map_lookup_elem(&bench_flood, &zero);
	progress = bpf_map_lookup_elem(&bench_progress, &zero);
	if (!flood || !progress)
		return XDP_ABORTED;
	if (flood->gap && too_early(progress, flood->gap))
		return XDP_DROP;
	a = bench_random(&progress->seed);
	b = bench_random(&progress->seed);
	from = &flood->templates[(b >> 56) & flood->template_mask & (BENCH_TEMPLATES - 1)];
	if (bench_copy(data, data_end, from))
		return XDP_ABORTED;
	sum = from->tcp_sum;
	ip_sum = from->ip_sum;

	if (flood->version == 4) {
		__be32 source = flood->source[0] | ((__u32)a & flood->source_mask[0]);

		if (data + IP4_SOURCE + 8 > data_end)
			return XDP_ABORTED;
		*(__be32 *)(data + IP4_SOURCE) = source;
		*(__u16 *)(data + IP4_CHECKSUM) = bench_fold(ip_sum + source);
		sum += source;
	} else {
		__be32 word[4];
		int i;

		if (data + IP6_SOURCE + 16 > data_end)
			return XDP_ABORTED;
		word[0] = flood->source[0] | ((__u32)(b >> 32) & flood->source_mask[0]);
		word[1] = flood->source[1] | ((__u32)(a >> 32) & flood->source_mask[1]);
		word[2] = flood->source[2] | ((__u32)(b >> 16) & flood->source_mask[2]);
		word[3] = flood->source[3] | ((__u32)a & flood->source_mask[3]);
#pragma unroll
		for (i = 0; i < 4; i++) {
			*(__be32 *)(data + IP6_SOURCE + 4 * i) = word[i];
			sum += word[i];
		}
	}

	tcp = from->tcp & (BENCH_FRAME - 1);
	asm volatile("" : "+r"(tcp));
	if (tcp > BENCH_FRAME - 20 || data + tcp + 12 > data_end)
		return XDP_ABORTED;
	if (flood->vary & BENCH_VARY_PORT) {
		port = bpf_htons((__u16)(a >> 40) | 1024);
		*(__be16 *)(data + tcp) = port;
		sum += port;
	}
	if (flood->vary & BENCH_VARY_SEQ) {
		seq = (__u32)b;
		*(__be32 *)(data + tcp + 4) = seq;
		sum += seq;
	}
	if (flood->vary & BENCH_VARY_ACK) {
		ack = (__u32)(b >> 32) ^ (__u32)(a >> 8);
		*(__be32 *)(data + tcp + 8) = ack;
		sum += ack;
	}
	sum_at = flood->checksum_offset;
	if (sum_at) {
		if (data + tcp + 18 > data_end)
			return XDP_ABORTED;
		*(__u16 *)(data + tcp + 16) = bench_fold(sum);
	}
	progress->made++;
	return bpf_redirect(flood->interface, 0);
}

char _license[] SEC("license") = "GPL";
