/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Doubt: has the daemon decided on the like before, and if not, may it be asked?
 * Only packets of services that escalate come here, so that the look-up is not
 * paid by anybody else.
 */
#ifndef SYNWARD_XDP_ESCALATE_H
#define SYNWARD_XDP_ESCALATE_H

#include "answer.h"
#include "budget.h"
#include "maps.h"
#include "parse.h"

static __always_inline enum sw_doubt escalate_doubt(enum sw_reason reason)
{
	switch (reason) {
	case SW_REASON_FRAGMENT:
		return SW_DOUBT_FRAGMENT;
	case SW_REASON_STRAY_ACK:
	case SW_REASON_STRAY_SYNACK:
	case SW_REASON_STRAY_RST:
	case SW_REASON_STRAY_OTHER:
		return SW_DOUBT_STRAY;
	case SW_REASON_SYN_ODD:
		return SW_DOUBT_SYN;
	default:
		return SW_DOUBT_MALFORMED;
	}
}

/* SW_ACTION_ESCALATE: no ticket says anything. */
static __always_inline enum sw_action escalate_look(const struct sw_ticket_key *key)
{
	struct sw_ticket *ticket = bpf_map_lookup_elem(&sw_tickets, key);

	if (!ticket || tick_now64() >= sw_ticket_until(ticket))
		return SW_ACTION_ESCALATE;
	return ticket->action == SW_ACTION_DROP ? SW_ACTION_DROP : SW_ACTION_PASS;
}

static __always_inline enum sw_action escalate_source(const struct view *v, __u32 service,
						      enum sw_doubt doubt, const int family)
{
	struct sw_ticket_key key = { .doubt = doubt, .family = family, .service = service };

	key.subject[0] = v->in.source[0];
	if (family == SW_IPV6) {
		key.subject[1] = v->in.source[0] >> 32;
		key.subject[2] = v->in.source[1];
		key.subject[3] = v->in.source[1] >> 32;
	}
	return escalate_look(&key);
}

static __always_inline enum sw_action escalate_shape(const struct sw_shape *shape, __u32 service,
						     const int family)
{
	struct sw_ticket_key key = {
		.doubt = SW_DOUBT_SHAPE, .family = family, .service = service
	};

	__builtin_memcpy(key.subject, shape, sizeof(*shape));
	return escalate_look(&key);
}

/* The shape of a SYN whose options were read by options_any(). */
static __always_inline bool escalate_shape_of(const struct view *v, const struct options *o,
					      struct sw_shape *shape, const int family)
{
	const __u8 *ip = v->l3;

	if ((void *)(ip + 20) > v->end)
		return false;
	shape->layout = o->layout;
	shape->header = v->header;
	shape->hops = sw_shape_hops(family == SW_IPV4 ? ip[8] : ip[7]);
	shape->wscale = o->found & SW_OPTION_WSCALE ? o->wscale : SW_SHAPE_NO_WSCALE;
	shape->family = family;
	shape->pad = 0;
	return true;
}

/*
 * Whether one more packet may go up: the daemon must not become the bottleneck,
 * and without metadata no packet can tell the tc program that it should.
 */
static __always_inline bool escalate_may(const struct sw_config *config,
					 const struct sw_service *service, __u32 index, __u32 now)
{
	struct sw_cpu *cpu = cpu_get();

	if (!cpu || config->no_metadata)
		return false;
	return !service->escalate.tolerance ||
	       budget_take(&cpu->escalate[index & (SW_SERVICES - 1)], &service->escalate, now);
}

#endif
