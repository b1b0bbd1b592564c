// SPDX-License-Identifier: GPL-2.0-or-later
// Passes everything: makes the far end of a veth pair run NAPI, so that it
// receives the frames that an XDP program sends.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
