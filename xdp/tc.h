/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tc ingress: what XDP decided meets the socket layer. Metadata becomes an skb
 * mark, and a validated ACK gets a request socket made from its cookie
 * (bpf_sk_assign_tcp_reqsk, Linux 6.9), from which the listener creates the
 * connection as if it had seen the SYN.
 */
#ifndef SYNWARD_XDP_TC_H
#define SYNWARD_XDP_TC_H

#include "cookie.h"
#include "flows.h"
#include "maps.h"
#include "options.h"
#include "parse.h"
#include "services.h"
#include "stats.h"

#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

struct tc_packet {
	__u32 tcp;    /* offset of the TCP header in the frame */
	__u32 header; /* its length */
	__u32 tsval;  /* as in the packet */
	__u32 tsecr;
	__u32 found;  /* SW_OPTION_TIMESTAMP */
};

static __always_inline void tc_timestamps(struct __sk_buff *skb, struct tc_packet *p)
{
	__u64 length = p->header - sizeof(struct tcphdr);
	__u8 bytes[64] = {};
	struct options o = {};

	if (!options_length(&length))
		return;
	if (bpf_skb_load_bytes(skb, p->tcp + sizeof(struct tcphdr), bytes, length))
		return;
	/* bounded by the length alone, which verifiers understand where tc assigns sockets (6.9) */
	options_any(bytes, bytes + sizeof(bytes), length, &o);
	p->tsval = o.tsval;
	p->tsecr = o.tsecr;
	p->found = o.found & SW_OPTION_TIMESTAMP;
}

/* The listener's queue of unaccepted connections is full: a connection would be refused. */
static __always_inline bool tc_accept_full(struct tcp_sock *tp)
{
	return BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_ack_backlog) >
	       BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_max_ack_backlog);
}

static __always_inline int tc_assign(struct __sk_buff *skb, struct tcp_sock *listener,
				     const struct sw_metadata *meta, struct tc_packet *p,
				     const int family)
{
	struct sw_memory *memory = memory_get();
	struct sw_service *service;
	struct bpf_tcp_req_attrs attrs = {};
	__u8 wscale = meta->options & COOKIE_WSCALE_MASK;

	if (!bpf_core_type_exists(struct bpf_tcp_req_attrs) || !memory)
		return SW_REASON_TC_REFUSED;
	service = services_get(memory, memory->config.generation, meta->service);
	tc_timestamps(skb, p);
	attrs.mss = cookie_mss(meta->options, family);
	if (wscale != COOKIE_WSCALE_NONE) {
		attrs.wscale_ok = 1;
		attrs.snd_wscale = wscale;
		attrs.rcv_wscale = service->wscale;
	}
	attrs.sack_ok = !!(meta->options & COOKIE_SACK);
	attrs.ecn_ok = !!(meta->options & COOKIE_ECN);
	if (p->found) {
		attrs.tstamp_ok = 1;
		attrs.rcv_tsval = bpf_ntohl(p->tsval);
		attrs.rcv_tsecr = bpf_ntohl(p->tsecr);
	}
	if (bpf_sk_assign_tcp_reqsk(skb, (struct sock *)listener, &attrs, sizeof(attrs)))
		return SW_REASON_TC_REFUSED;
	return SW_REASON_TC_ASSIGNED;
}

/*
 * A client whose ACK found no room sends it again, and data with it. Its entry goes, so that
 * these are checked anew; what was right behind the ACK goes with it, for no connection is
 * there that would take it.
 */
static __always_inline int tc_deliver(struct __sk_buff *skb, const struct sw_memory *memory,
				      const struct sw_metadata *meta, struct view *v,
				      const int family)
{
	struct tc_packet p = { .tcp = (void *)v->tcp - v->data, .header = v->header };
	struct bpf_sock_tuple tuple = {};
	__u32 size = lookup_tuple(&tuple, v, family);
	__u32 service = meta->service;
	struct tcp_sock *listener;
	struct bpf_sock *sk;
	int reason = SW_REASON_COUNT;
	int verdict = TC_ACT_UNSPEC;
	__u64 flow;

	sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk) {
		stats_count(service, SW_REASON_TC_NO_LISTENER);
		return TC_ACT_UNSPEC;
	}
	if (sk->state == TCP_LISTEN) {
		listener = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
		if (listener) {
			if (tc_accept_full(listener)) {
				reason = SW_REASON_TC_ACCEPT_FULL;
				flows_delete(memory, v, family);
			} else if (meta->class_ == SW_CLASS_HANDSHAKE) {
				reason = tc_assign(skb, listener, meta, &p, family);
			} else if (!flows_find(memory, v, &flow, family)) {
				reason = SW_REASON_TC_ACCEPT_FULL;
			}
			if (reason == SW_REASON_TC_ACCEPT_FULL)
				verdict = TC_ACT_SHOT; /* as the kernel does */
		}
	}
	bpf_sk_release(sk);
	if (reason != SW_REASON_COUNT)
		stats_count(service, reason);
	return verdict;
}

static __always_inline void tc_mark(struct __sk_buff *skb, __u32 service, __u32 mask, __u32 mark)
{
	__u32 value = (skb->mark & ~mask) | mark;

	LAUNDER(value); /* or it becomes a store of one byte, which the verifier refuses */
	skb->mark = value;
	stats_count(service, SW_REASON_TC_MARKED);
}

/* The driver has no metadata: the flow table says what XDP wanted. */
static __always_inline bool tc_recall(const struct sw_memory *memory, struct view *v,
				      struct sw_metadata *meta, const int family)
{
	__u64 flow, *place = flows_find(memory, v, &flow, family);

	if (!place || sw_flow_state_of(flow) != SW_FLOW_HANDSHAKE ||
	    sw_flow_age(flow, tick_now()) > memory->config.grace_ticks)
		return false;
	meta->class_ = SW_CLASS_HANDSHAKE;
	meta->service = services_find(memory, memory->config.generation & 1, v, family);
	meta->options = sw_flow_options(flow);
	return true;
}

static __always_inline int tc_ip(struct __sk_buff *skb, struct sw_memory *memory, struct view *v,
				 struct sw_metadata *meta, bool recall, const int family)
{
	struct sw_service *service;
	__u32 index;

	if (recall && !tc_recall(memory, v, meta, family))
		return TC_ACT_UNSPEC;
	index = meta->service;
	service = services_get(memory, memory->config.generation, index);
	if (meta->class_ == SW_CLASS_HANDSHAKE)
		tc_mark(skb, index, SW_MARK_CLASS_MASK, SW_MARK_VALIDATED);
	if (service->delivery == SW_DELIVERY_REQSK)
		return tc_deliver(skb, memory, meta, v, family);
	return TC_ACT_UNSPEC;
}

/* Addresses, ports and header length, from where XDP said the TCP header is. */
static __always_inline bool tc_view(struct view *v, __u32 tcp_offset, const int family)
{
	__u64 offset = tcp_offset;
	__u64 *address;
	struct tcphdr *tcp;

	BOUND_MASK(offset, 16383);
	tcp = v->l3 + offset;
	if (family == SW_IPV4) {
		struct iphdr *ip = v->l3;

		if ((void *)(ip + 1) > v->end)
			return false;
		v->in.source[0] = ip->saddr;
		v->in.destination[0] = ip->daddr;
	} else {
		struct ipv6hdr *ip = v->l3;

		if ((void *)(ip + 1) > v->end)
			return false;
		address = (__u64 *)&ip->saddr;
		v->in.source[0] = address[0];
		v->in.source[1] = address[1];
		v->in.destination[0] = address[2];
		v->in.destination[1] = address[3];
	}
	return parse_tcp(v, tcp, 60) == SW_REASON_COUNT;
}

/* Without metadata: only headers without options or extensions are recalled. */
static __always_inline __u32 tc_guess_offset(struct view *v, const int family)
{
	__u8 *header = v->l3;

	if ((void *)(header + 20) > v->end)
		return 0;
	if (family == SW_IPV4)
		return header[0] == 0x45 && header[9] == IPPROTO_TCP ? 20 : 0;
	return header[6] == IPPROTO_TCP ? 40 : 0;
}

SEC("tc")
int synward_tc(struct __sk_buff *skb)
{
	struct view v = {
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
	};
	struct sw_metadata *found = (void *)(long)skb->data_meta;
	struct sw_metadata meta = {};
	struct sw_memory *memory = memory_get();
	bool recall = false;
	__u32 protocol, offset;

	if (!memory)
		return TC_ACT_UNSPEC;
	if ((void *)(found + 1) > v.data || found->magic != SW_METADATA_MAGIC) {
		if (!memory->config.no_metadata)
			return TC_ACT_UNSPEC;
		recall = true;
	} else {
		meta = *found;
	}
	if (meta.class_ == SW_CLASS_ESCALATE) {
		tc_mark(skb, meta.service, SW_MARK_ESCALATE_MASK,
			SW_MARK_ESCALATE | (__u32)meta.reason << SW_MARK_REASON_SHIFT);
		return TC_ACT_UNSPEC;
	}
	protocol = parse_ethernet(&v);
	if (protocol == ETHERTYPE(ETH_P_IP)) {
		offset = recall ? tc_guess_offset(&v, SW_IPV4) : meta.tcp_offset;
		if (offset && tc_view(&v, offset, SW_IPV4))
			return tc_ip(skb, memory, &v, &meta, recall, SW_IPV4);
	} else if (protocol == ETHERTYPE(ETH_P_IPV6)) {
		offset = recall ? tc_guess_offset(&v, SW_IPV6) : meta.tcp_offset;
		if (offset && tc_view(&v, offset, SW_IPV6))
			return tc_ip(skb, memory, &v, &meta, recall, SW_IPV6);
	}
	return TC_ACT_UNSPEC;
}

#endif
