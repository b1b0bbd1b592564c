// SPDX-License-Identifier: GPL-2.0-or-later
// Looks like synward's object to the loader, and no verifier takes it: it reads beyond the
// packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct entries {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};

struct entries sw_flows SEC(".maps"), sw_exact SEC(".maps"), sw_gate SEC(".maps"), sw_prefix4 SEC(".maps"),
	sw_prefix6 SEC(".maps");

SEC("xdp")
int synward(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
