/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel knows: sockets, conntrack entries of what a gateway forwards, and
 * whether an address is of this host. Each look-up costs 30 to 200 ns, so that
 * the callers make them rare.
 */
#ifndef SYNWARD_XDP_LOOKUP_H
#define SYNWARD_XDP_LOOKUP_H

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* Fills a tuple; returns its size for the family. */
static __always_inline __u32 lookup_tuple(struct bpf_sock_tuple *tuple, const struct view *v,
					  const int family)
{
	if (family == SW_IPV4) {
		tuple->ipv4.saddr = v->in.source[0];
		tuple->ipv4.daddr = v->in.destination[0];
		tuple->ipv4.sport = v->in.ports;
		tuple->ipv4.dport = v->in.ports >> 16;
		return sizeof(tuple->ipv4);
	}
	tuple->ipv6.saddr[0] = v->in.source[0];
	tuple->ipv6.saddr[1] = v->in.source[0] >> 32;
	tuple->ipv6.saddr[2] = v->in.source[1];
	tuple->ipv6.saddr[3] = v->in.source[1] >> 32;
	tuple->ipv6.daddr[0] = v->in.destination[0];
	tuple->ipv6.daddr[1] = v->in.destination[0] >> 32;
	tuple->ipv6.daddr[2] = v->in.destination[1];
	tuple->ipv6.daddr[3] = v->in.destination[1] >> 32;
	tuple->ipv6.sport = v->in.ports;
	tuple->ipv6.dport = v->in.ports >> 16;
	return sizeof(tuple->ipv6);
}

/* State of the socket that would get the packet (TCP_LISTEN: only a listener), 0: none. */
static __always_inline __u32 lookup_socket(struct xdp_md *ctx, const struct view *v, const int family)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = lookup_tuple(&tuple, v, family);
	struct bpf_sock *sk;
	__u32 state;

	sk = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

/* Does conntrack hold the connection? (Absent without nf_conntrack.) */
static __always_inline bool lookup_conntrack(struct xdp_md *ctx, const struct view *v,
					     const int family)
{
	struct bpf_ct_opts opts = { .netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *ct;
	__u32 size;

	if (!bpf_core_type_exists(struct bpf_ct_opts___probe))
		return false;
	size = lookup_tuple(&tuple, v, family);
	ct = bpf_xdp_ct_lookup(ctx, &tuple, size, &opts, sizeof(opts));
	if (!ct)
		return false;
	bpf_ct_release(ct);
	return true;
}

/*
 * Are the service's connections those of hosts behind this gateway? They have no socket
 * here, and netfilter's SYNPROXY takes them. A gateway's own services are like any host's.
 */
static __always_inline bool lookup_behind(const struct sw_service *service)
{
	return service->delivery == SW_DELIVERY_SYNPROXY;
}

/* Is the packet of a connection that the kernel has (not just a listener)? */
static __always_inline bool lookup_known(struct xdp_md *ctx, const struct sw_service *service,
					 const struct view *v, const int family)
{
	__u32 state;

	if (lookup_behind(service))
		return lookup_conntrack(ctx, v, family);
	state = lookup_socket(ctx, v, family);
	return state && state != TCP_LISTEN;
}

/* Three quarters of a listener's queue of half-open or of unaccepted connections. */
static __always_inline bool lookup_overflows(struct tcp_sock *tp)
{
	__u32 limit = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_max_ack_backlog);
	__u32 half_open = BPF_CORE_READ(tp, inet_conn.icsk_accept_queue.qlen.counter);
	__u32 unaccepted = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_ack_backlog);

	limit -= limit >> 2;
	return half_open > limit || unaccepted > limit;
}

/*
 * Would the kernel forward to this address? On a host that does not forward,
 * what is not local is dropped by the kernel anyway.
 */
static __always_inline bool lookup_forwards(struct xdp_md *ctx, const struct bpf_sock_tuple *tuple,
					    const int family)
{
	struct bpf_fib_lookup fib = {};
	long result;

	fib.ifindex = ctx->ingress_ifindex;
	fib.l4_protocol = IPPROTO_TCP;
	if (family == SW_IPV4) {
		fib.family = AF_INET;
		fib.ipv4_src = tuple->ipv4.saddr;
		fib.ipv4_dst = tuple->ipv4.daddr;
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, tuple->ipv6.saddr, 16);
		__builtin_memcpy(fib.ipv6_dst, tuple->ipv6.daddr, 16);
	}
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       result == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

/*
 * In a VRF the kernel gives connections of a listener that is bound to no device (it
 * needs tcp_l3mdev_accept) to the VRF, and a look-up from here finds what is bound to
 * this device or to none. A bridge loses the request socket that tc gives a packet. So
 * only a listener bound to this device has connections that are found again; for all
 * others the kernel is left alone.
 */
static __always_inline bool lookup_bound(const struct sw_config *config, const struct view *v)
{
	__u32 flag = v->l3 - v->data > (long)sizeof(struct ethhdr) ? SW_FLAG_VRF_TAGGED : SW_FLAG_VRF;

	return config->flags & flag;
}

/* Has it keys of TCP-MD5 or TCP-AO? Only the kernel can sign what answers such a SYN. */
static __always_inline bool lookup_signs(struct tcp_sock *tp)
{
	struct tcp_sock___keys *keys = (void *)tp;

	if (bpf_core_field_exists(keys->md5sig_info) && BPF_CORE_READ(keys, md5sig_info))
		return true;
	return bpf_core_field_exists(keys->ao_info) && BPF_CORE_READ(keys, ao_info);
}

struct listener_answer {
	__u32 bound;	 /* asked: only one that is bound to a device counts */
	__u32 kind;	 /* enum sw_listener_kind */
	__u32 overflows; /* the queue fills up */
};

/*
 * Who listens there? Asked with remote port 0, which no connection has, so that
 * the answer is about the listener and not about somebody's connection.
 */
static __always_inline void lookup_listener(struct xdp_md *ctx, struct bpf_sock_tuple *tuple,
					    const __u32 size, const int family,
					    struct listener_answer *answer)
{
	struct bpf_sock *sk;
	struct tcp_sock *tp;

	answer->overflows = 0;
	if (lookup_forwards(ctx, tuple, family)) {
		answer->kind = SW_LISTENER_FORWARDED;
		return;
	}
	answer->kind = SW_LISTENER_NONE;
	sk = bpf_skc_lookup_tcp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return;
	if (sk->state == TCP_LISTEN && (!answer->bound || sk->bound_dev_if)) {
		answer->kind = SW_LISTENER_PLAIN;
		tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
		if (tp) {
			answer->overflows = lookup_overflows(tp);
			if (lookup_signs(tp))
				answer->kind = SW_LISTENER_SIGNED;
		}
		if (bpf_skc_to_mptcp_sock(sk))
			answer->kind = SW_LISTENER_MPTCP;
	}
	bpf_sk_release(sk);
}

/* One function for each family: verified once, called from several places. */
__attribute__((noinline)) int lookup_listener4(struct xdp_md *ctx, __u32 source, __u32 address,
					       __u32 port, struct listener_answer *answer)
{
	struct bpf_sock_tuple tuple = {};

	if (!answer)
		return 0;
	tuple.ipv4.saddr = source;
	tuple.ipv4.daddr = address;
	tuple.ipv4.dport = port;
	lookup_listener(ctx, &tuple, sizeof(tuple.ipv4), SW_IPV4, answer);
	return 0;
}

__attribute__((noinline)) int lookup_listener6(struct xdp_md *ctx, struct cookie_input *in,
					       struct listener_answer *answer)
{
	struct bpf_sock_tuple tuple = {};

	if (!answer || !in)
		return 0;
	__builtin_memcpy(tuple.ipv6.saddr, in->source, 16);
	__builtin_memcpy(tuple.ipv6.daddr, in->destination, 16);
	tuple.ipv6.dport = in->ports >> 16;
	lookup_listener(ctx, &tuple, sizeof(tuple.ipv6), SW_IPV6, answer);
	return 0;
}

static __always_inline void lookup_listener_of(struct xdp_md *ctx, const struct sw_config *config,
					       struct view *v, struct listener_answer *answer,
					       const int family)
{
	answer->bound = lookup_bound(config, v);
	if (family == SW_IPV4) {
		lookup_listener4(ctx, v->in.source[0], v->in.destination[0], v->in.ports >> 16,
				 answer);
	} else {
		struct cookie_input in = v->in;

		lookup_listener6(ctx, &in, answer);
	}
}

/*
 * A link-local address is one of a device, and tc gives a connection to the device at
 * hand, which for a tagged frame is not the VLAN's: the kernel is left alone.
 */
static __always_inline bool lookup_beyond(const struct view *v, const int family)
{
	/* fe80::/10 as it stands */
	return family == SW_IPV6 && v->l3 - v->data > (long)sizeof(struct ethhdr) &&
	       ((v->in.destination[0] & 0xc0ff) == 0x80fe || (v->in.source[0] & 0xc0ff) == 0x80fe);
}

/* The same, believed for a while; a spoofed flood to one address asks once a tenth of a second. */
static __always_inline __u32 lookup_listener_cached(struct xdp_md *ctx,
						    const struct sw_config *config,
						    struct sw_cpu *cpu, struct view *v, __u32 now,
						    const int family)
{
	__u64 tag = hash_listener(config->hash_key, v->in.destination, v->in.ports, family);
	struct listener_answer answer;
	struct sw_listener *slot;

	if (lookup_beyond(v, family))
		return SW_LISTENER_NONE;
	/* VLANs and what has no tag may be worlds of their own. */
	if (config->flags & (SW_FLAG_VRF | SW_FLAG_VRF_TAGGED) && lookup_bound(config, v))
		tag ^= 1ULL << 62;
	slot = &cpu->listener[hash_listener_slot(config->hash_key, tag)];
	if (slot->tag == tag && now - slot->tick < config->listener_ticks)
		return slot->kind;
	answer.kind = SW_LISTENER_NONE;
	lookup_listener_of(ctx, config, v, &answer, family);
	slot->tag = tag;
	slot->tick = now;
	slot->kind = answer.kind;
	return answer.kind;
}

#endif
