// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run with BPF_F_TEST_XDP_LIVE_FRAMES: every run makes one UDP datagram (without
 * a checksum, as IPv4 allows) and sends it out of an interface.
 */
#include "frame.h"
#include "traffic.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_traffic);
} bench_traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_progress);
} bench_progress SEC(".maps");

SEC("xdp")
int bench_traffic_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct bench_progress *progress;
	struct bench_traffic *traffic;
	__u32 zero = 0, which;
	__be32 source;
	__u64 drawn;
	int i;

	traffic = bpf_map_lookup_elem(&bench_traffic, &zero);
	progress = bpf_map_lookup_elem(&bench_progress, &zero);
	if (!traffic || !progress || !traffic->span || data + BENCH_TRAFFIC_FRAME > data_end)
		return XDP_ABORTED;
	/* a frame comes back from the receiver's page pool as the receiver left it */
#pragma unroll
	for (i = 0; i < BENCH_TRAFFIC_FRAME / 8; i++)
		((__u64 *)data)[i] = ((const __u64 *)traffic->frame)[i];
	drawn = bench_random(&progress->seed);
	which = (__u32)(drawn >> 32) % traffic->span;
	source = bpf_htonl(traffic->base + which);
	*(__be32 *)(data + IP4_SOURCE) = source;
	*(__u16 *)(data + IP4_CHECKSUM) = bench_fold((__u64)traffic->ip_sum + source);
	*(__be16 *)(data + ETH_HEADER + 20) =
		bpf_htons(1024 + ((traffic->random_port ? (__u32)drawn : which) & 0x7fff));
	progress->made++;
	return bpf_redirect(traffic->interface, 0);
}

char _license[] SEC("license") = "GPL";
