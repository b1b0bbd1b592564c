/* SPDX-License-Identifier: GPL-2.0-only */
/* A validated ACK on its way to the listener: check the cookie, remember the flow, tell tc. */
#ifndef SYNWARD_XDP_DELIVER_H
#define SYNWARD_XDP_DELIVER_H

#include "answer.h"
#include "cookie.h"
#include "flows.h"
#include "kcookie.h"
#include "maps.h"
#include "options.h"

/* The kernel's own, which its headers for user space lack, and the official one. */
#define SW_ENOTSUPP 524
#define SW_EOPNOTSUPP 95

/*
 * Metadata costs the packet its place in GRO, so only packets that tc must act
 * upon carry it.
 */
static __always_inline void deliver_metadata(struct xdp_md *ctx, struct sw_config *config,
					     enum sw_class class, enum sw_reason reason,
					     __u32 service, __u8 options, __u32 tcp_offset)
{
	struct sw_metadata *meta;
	long error = bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta));

	if (error) {
		/* only a driver that has no metadata at all; another packet may have room */
		if ((error == -SW_ENOTSUPP || error == -SW_EOPNOTSUPP) && !config->no_metadata)
			config->no_metadata = 1; /* tc will look the flow up */
		return;
	}
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	meta->magic = SW_METADATA_MAGIC;
	meta->class_ = class;
	meta->reason = reason;
	meta->service = service;
	meta->options = options;
	meta->tcp_offset = tcp_offset;
}

/* The timestamps of an ACK; found = 0 when there are none. */
static __always_inline void deliver_timestamps(struct xdp_md *ctx, struct view *v, struct options *o)
{
	const __u32 *words = (__u32 *)(v->tcp + 1);
	struct options any = {};

	if (v->header == sizeof(struct tcphdr))
		return;
	if (v->header == sizeof(struct tcphdr) + 12 && (void *)(words + 3) <= v->end &&
	    words[0] == WORD_TIMESTAMP) {
		o->tsval = words[1];
		o->tsecr = words[2];
		o->found = SW_OPTION_TIMESTAMP;
		return;
	}
	options_read(ctx, (void *)words - v->data, v->header - sizeof(struct tcphdr), &any);
	*o = any;
}

/*
 * Is this the ACK of one of our SYN-ACKs? One hash: the ISN names its epoch,
 * the epoch its key. A good cookie's option byte goes to *options.
 */
static __always_inline bool deliver_check(struct xdp_md *ctx, const struct sw_config *config,
					  const struct sw_service *service, struct view *v,
					  __u8 *options, const int family)
{
	__u32 isn = bpf_ntohl(v->ack) - 1;
	struct cookie_input in = v->in;
	struct options o = {};
	struct sw_cpu *cpu;
	__u32 epoch;
	__u64 hash;

	if (service->delivery != SW_DELIVERY_REQSK) {
		struct kcookie_request q = {
			.l3 = v->l3 - v->data,
			.l4 = (void *)v->tcp - v->data,
			.family = family,
		};

		*options = 0;
		return kcookie_check(ctx, &q) == 0;
	}
	cpu = cpu_get();
	if (!cpu)
		return false;
	epoch = cookie_epoch(isn, epoch_now(config));
	in.isn = bpf_htonl(bpf_ntohl(v->in.isn) - 1);
	hash = cookie_hash(&in, epoch_key(config, cpu, epoch), family);
	if (!cookie_matches(hash, isn))
		return false;
	/* whoever echoes a timestamp echoes 32 more bits of the hash */
	deliver_timestamps(ctx, v, &o);
	if (o.found & SW_OPTION_TIMESTAMP && o.tsecr != bpf_htonl(cookie_tsval(hash)))
		return false;
	*options = cookie_options(hash, isn);
	return true;
}

#endif
