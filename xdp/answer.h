/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A SYN becomes its own SYN-ACK. Everything the reply needs is read into
 * registers first, then the frame gets its new length and is written once;
 * checksums are summed from the registers (reading back bytes that were just
 * stored costs 9 to 14 ns).
 */
#ifndef SYNWARD_XDP_ANSWER_H
#define SYNWARD_XDP_ANSWER_H

#include "checksum.h"
#include "cookie.h"
#include "epoch.h"
#include "kcookie.h"
#include "maps.h"
#include "options.h"
#include "parse.h"

struct reply {
	__u32 isn;    /* host byte order */
	__u32 tsval;  /* network byte order */
	__u32 tsecr;  /* network byte order */
	__u8 options; /* SW_OPTION_* that were negotiated */
};

/* Options in an unusual order. `offset` is that of the first option. */
__attribute__((noinline)) int options_read(struct xdp_md *ctx, __u32 offset, __u32 size,
					   struct options *o)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 start = offset;

	if (!o)
		return -1;
	BOUND_MASK(start, 0x3fff);
	options_any(data + start, end, size, o);
	return 0;
}

/* Returns whether their layout is one of the usual. */
static __always_inline bool answer_options(struct xdp_md *ctx, struct view *v, struct options *o)
{
	const __u32 *words = (__u32 *)(v->tcp + 1);
	__u32 length = v->header - sizeof(struct tcphdr);
	struct options any = {};

	/* the bounds of each usual layout are constants, as the verifier wants them */
	if (length == 20 && (void *)(words + 5) <= v->end) {
		if (options_usual(words, 20, o))
			return true;
	} else if (length == 12 && (void *)(words + 3) <= v->end) {
		if (options_usual(words, 12, o))
			return true;
	} else if (length == 24 && (void *)(words + 6) <= v->end) {
		if (options_usual(words, 24, o))
			return true;
	} else if (length == 4 && (void *)(words + 1) <= v->end) {
		if (options_usual(words, 4, o))
			return true;
	} else if (length == 0) {
		return true;
	}
	options_read(ctx, (void *)words - v->data, length, &any);
	*o = any;
	return false;
}

/* The option byte of the cookie. */
static __always_inline __u8 answer_option_byte(const struct options *o, __u8 negotiated,
					       const int family)
{
	__u8 byte = negotiated & SW_OPTION_WSCALE ? o->wscale : COOKIE_WSCALE_NONE;

	if (negotiated & SW_OPTION_SACK)
		byte |= COOKIE_SACK;
	if (negotiated & SW_OPTION_ECN)
		byte |= COOKIE_ECN;
	return byte | cookie_mss_index(o->mss, family) << COOKIE_MSS_SHIFT;
}

/* Chooses among the options of the SYN, and the ISN. SW_REASON_COUNT on success. */
static __always_inline enum sw_reason answer_prepare(struct xdp_md *ctx,
						     const struct sw_config *config,
						     const struct sw_service *service,
						     struct sw_cpu *cpu, struct view *v,
						     const struct options *o,
						     struct reply *reply, const int family)
{
	__u8 offered = o->found;
	__u8 byte;

	if ((v->flags & (FLAG_ECE | FLAG_CWR)) == (FLAG_ECE | FLAG_CWR))
		offered |= SW_OPTION_ECN;
	offered &= service->options;
	reply->tsecr = o->tsval;
	if (service->delivery == SW_DELIVERY_REQSK) {
		__u32 epoch = epoch_now(config);
		__u64 hash = cookie_hash(&v->in, epoch_key(config, cpu, epoch), family);

		byte = answer_option_byte(o, offered, family);
		reply->isn = cookie_isn(hash, byte, epoch);
		reply->tsval = bpf_htonl(cookie_tsval(hash));
	} else {
		struct kcookie_request q = {
			.l3 = v->l3 - v->data,
			.l4 = (void *)v->tcp - v->data,
			.header = v->header,
			.raw = service->delivery == SW_DELIVERY_SYNPROXY,
			.family = family,
		};
		__u32 isn = 0;

		/* without a timestamp nothing remembers the other options */
		if (service->delivery != SW_DELIVERY_SYNPROXY &&
		    !(config->flags & SW_FLAG_TIMESTAMP_COOKIE))
			offered &= ~SW_OPTION_TIMESTAMP;
		if (!(offered & SW_OPTION_TIMESTAMP))
			offered = 0;
		if (kcookie_make(ctx, &q, &isn))
			return SW_REASON_SYN_NO_COOKIE;
		byte = answer_option_byte(o, offered, family);
		reply->isn = isn;
		reply->tsval = bpf_htonl(kcookie_tsval(byte));
	}
	reply->options = offered;
	return SW_REASON_COUNT;
}

/* Writes the options in Linux's order; false when they do not fit before `end`. */
static __always_inline bool answer_write_options(__u32 *words, void *end, const struct reply *r,
						 __be16 mss, __u8 wscale, __u64 *sum)
{
	__u32 first = 0x0402 | (__u32)mss << 16;
	__u32 shift = 0x030301 | (__u32)wscale << 24;
	__u64 s = *sum + first;

	if (r->options & SW_OPTION_TIMESTAMP) {
		__u32 kind = r->options & SW_OPTION_SACK ? WORD_SACK_TIMESTAMP : WORD_TIMESTAMP;

		if ((void *)(words + 4) > end)
			return false;
		words[0] = first;
		words[1] = kind;
		words[2] = r->tsval;
		words[3] = r->tsecr;
		s += (__u64)kind + r->tsval + r->tsecr;
		if (r->options & SW_OPTION_WSCALE) {
			if ((void *)(words + 5) > end)
				return false;
			words[4] = shift;
			s += shift;
		}
	} else {
		if ((void *)(words + 1) > end)
			return false;
		words[0] = first;
		words++;
		if (r->options & SW_OPTION_SACK) {
			if ((void *)(words + 1) > end)
				return false;
			words[0] = WORD_SACK;
			s += WORD_SACK;
			words++;
		}
		if (r->options & SW_OPTION_WSCALE) {
			if ((void *)(words + 1) > end)
				return false;
			words[0] = shift;
			s += shift;
		}
	}
	*sum = s;
	return true;
}

static __always_inline __u32 answer_options_length(__u8 options)
{
	__u32 length = 4;

	if (options & SW_OPTION_TIMESTAMP)
		length += 12;
	else if (options & SW_OPTION_SACK)
		length += 4;
	if (options & SW_OPTION_WSCALE)
		length += 4;
	return length;
}

#define NOPS 0x01010101

/* Turns the frame into the SYN-ACK. False: no room, the frame is unchanged or lost. */
static __always_inline bool answer_write(struct xdp_md *ctx, const struct sw_service *service,
					 const struct view *v, const struct reply *r,
					 const int family)
{
	const __u32 ip_size = family == SW_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 tcp_size = sizeof(struct tcphdr) + answer_options_length(r->options);
	bool timestamp = r->options & SW_OPTION_TIMESTAMP;
	__u64 l3_offset = v->l3 - v->data;
	__u32 seq = bpf_htonl(r->isn);
	__u32 ack = bpf_htonl(bpf_ntohl(v->in.isn) + 1);
	__u32 ports = v->in.ports << 16 | v->in.ports >> 16;
	__u8 flags = FLAG_SYN | FLAG_ACK | (r->options & SW_OPTION_ECN ? FLAG_ECE : 0);
	__u32 control = tcp_size << 2 | (__u32)flags << 8 |
			(__u32)service->window[family][timestamp] << 16;
	__u64 sum = (__u64)seq + ack + ports + control + 0x0600 + (tcp_size << 8);
	void *data, *end;
	__u32 *eth, *ip, *tcp, d0, s1;
	__u16 d1;
	__u32 s0;
	int delta = l3_offset + ip_size + tcp_size - v->length;
	bool pad = false;

	/* Apple's SYN is a word longer than its reply: four NOPs cost less than a new end */
	if (delta == -4 && tcp_size == 40) {
		tcp_size += 4;
		control += 4 << 2;
		sum += (4 << 2) + (4 << 8) + NOPS;
		pad = true;
	} else if (delta && bpf_xdp_adjust_tail(ctx, delta)) {
		return false;
	}
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	LAUNDER(end);
	BOUND_MASK(l3_offset, 31);
	eth = data;
	ip = data + l3_offset;
	tcp = (void *)ip + ip_size;
	if ((void *)(tcp + 5) > end || (void *)(eth + 3) + 2 > end)
		return false;

	if (family == SW_IPV4) {
		__u32 source = v->in.source[0], destination = v->in.destination[0];
		__u64 addresses = (__u64)source + destination;
		__u32 first = 0x0045 | (__u32)bpf_htons(ip_size + tcp_size) << 16;
		__u32 life = service->ttl[SW_IPV4] | IPPROTO_TCP << 8;

		sum += addresses;
		/* no fragments (DF), identification 0: what Linux sends */
		ip[0] = first;
		ip[1] = 0x00400000;
		ip[2] = life | (__u32)checksum_fold(addresses + first + 0x00400000 + life) << 16;
		ip[3] = destination;
		ip[4] = source;
	} else {
		__u64 *address = (__u64 *)(ip + 2);
		__u64 a = v->in.source[0], b = v->in.source[1];
		__u64 c = v->in.destination[0], d = v->in.destination[1];

		sum += (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32);
		sum += (c & 0xffffffff) + (c >> 32) + (d & 0xffffffff) + (d >> 32);
		ip[0] = 0x60;
		ip[1] = bpf_htons(tcp_size) | IPPROTO_TCP << 16 | (__u32)service->ttl[SW_IPV6] << 24;
		address[0] = c;
		address[1] = d;
		address[2] = a;
		address[3] = b;
	}
	if (!answer_write_options(tcp + 5, end, r, service->mss[family], service->wscale, &sum))
		return false;
	if (pad) {
		if ((void *)(tcp + 11) > end)
			return false;
		tcp[10] = NOPS;
	}
	tcp[0] = ports;
	tcp[1] = seq;
	tcp[2] = ack;
	tcp[3] = control;
	tcp[4] = checksum_fold(sum);

	/* swap the stations: 6 bytes each */
	d0 = eth[0];
	d1 = *(__u16 *)(eth + 1);
	s0 = *(__u32 *)((void *)eth + 6);
	s1 = *(__u16 *)((void *)eth + 10);
	eth[0] = s0;
	*(__u16 *)(eth + 1) = s1;
	*(__u32 *)((void *)eth + 6) = d0;
	*(__u16 *)((void *)eth + 10) = d1;
	return true;
}

#endif
