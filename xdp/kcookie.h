/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's cookies, for deliveries in which the listener or netfilter
 * SYNPROXY checks the ACK again. The ISN holds the MSS; the other options ride
 * in the timestamp (net/ipv4/syncookies.c: cookie_init_timestamp()).
 */
#ifndef SYNWARD_XDP_KCOOKIE_H
#define SYNWARD_XDP_KCOOKIE_H

#include "maps.h"
#include "parse.h"

#define KCOOKIE_TIMESTAMP_BITS 0x3f

struct kcookie_request {
	__u32 l3;     /* offset of the IP header in the frame */
	__u32 l4;     /* of the TCP header */
	__u32 header; /* length of the TCP header with options */
	__u32 raw;    /* without a listener (SYNPROXY) */
	__u32 family; /* enum sw_family */
};

/* Both headers, copied, because the helpers want lengths the verifier can see. */
struct kcookie_headers {
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
	};
	union {
		struct tcphdr tcp;
		__u8 bytes[64];
	};
};

static __always_inline __s64 kcookie_by_listener(struct xdp_md *ctx, struct kcookie_headers *h,
						 __u64 length, __u32 family)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__s64 result;

	if (family == SW_IPV4) {
		tuple.ipv4.saddr = h->ip4.saddr;
		tuple.ipv4.daddr = h->ip4.daddr;
		tuple.ipv4.dport = h->tcp.dest;
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &h->ip6.saddr, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &h->ip6.daddr, 16);
		tuple.ipv6.dport = h->tcp.dest;
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return -1;
	if (family == SW_IPV4)
		result = bpf_tcp_gen_syncookie(sk, &h->ip4, sizeof(h->ip4), &h->tcp, length);
	else
		result = bpf_tcp_gen_syncookie(sk, &h->ip6, sizeof(h->ip6), &h->tcp, length);
	bpf_sk_release(sk);
	return result;
}

static __always_inline bool kcookie_load(struct xdp_md *ctx, const struct kcookie_request *q,
					 struct kcookie_headers *h, __u64 length)
{
	__u32 l3 = q->l3, l4 = q->l4;

	if (q->family == SW_IPV4) {
		if (bpf_xdp_load_bytes(ctx, l3, &h->ip4, sizeof(h->ip4)))
			return false;
	} else if (bpf_xdp_load_bytes(ctx, l3, &h->ip6, sizeof(h->ip6))) {
		return false;
	}
	return !bpf_xdp_load_bytes(ctx, l4, h->bytes, length);
}

/* Returns the ISN in *isn (host byte order); 0 on success. */
__attribute__((noinline)) int kcookie_make(struct xdp_md *ctx, struct kcookie_request *q, __u32 *isn)
{
	struct kcookie_headers h = {};
	__u64 length;
	__s64 result;

	if (!q || !isn)
		return -1;
	length = q->header;
	BOUND_MASK(length, 63);
	if (length < sizeof(struct tcphdr) || length > 60)
		return -1;
	if (!kcookie_load(ctx, q, &h, length))
		return -1;
	if (!q->raw)
		result = kcookie_by_listener(ctx, &h, length, q->family);
	else if (q->family == SW_IPV4)
		result = bpf_tcp_raw_gen_syncookie_ipv4(&h.ip4, &h.tcp, length);
	else
		result = bpf_tcp_raw_gen_syncookie_ipv6(&h.ip6, &h.tcp, length);
	if (result < 0)
		return -1;
	*isn = (__u32)result;
	return 0;
}

/* Does the ACK carry a cookie of the kernel's? 0: yes. */
__attribute__((noinline)) int kcookie_check(struct xdp_md *ctx, struct kcookie_request *q)
{
	struct kcookie_headers h = {};

	if (!q || !kcookie_load(ctx, q, &h, sizeof(struct tcphdr)))
		return -1;
	if (q->family == SW_IPV4)
		return bpf_tcp_raw_check_syncookie_ipv4(&h.ip4, &h.tcp);
	return bpf_tcp_raw_check_syncookie_ipv6(&h.ip6, &h.tcp);
}

/*
 * Timestamp value of the SYN-ACK, host byte order: the kernel's millisecond
 * clock with the option bits, never ahead of the clock.
 */
static __always_inline __u32 kcookie_tsval(__u8 options)
{
	__u32 now = bpf_ktime_get_ns() / 1000000;
	__u32 tsval = (now & ~KCOOKIE_TIMESTAMP_BITS) | (options & KCOOKIE_TIMESTAMP_BITS);

	return tsval > now ? tsval - (KCOOKIE_TIMESTAMP_BITS + 1) : tsval;
}

#endif
