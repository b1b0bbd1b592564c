// SPDX-License-Identifier: GPL-2.0-only
/*
 * synward: answers SYNs with cookies at the driver hook.
 *
 *   parse -> service -> sets -> SYN: answer or pass
 *                               else: known flow, cookie, kernel's, or stray
 *
 * Every way out has a reason and goes through leave(). An object with empty maps
 * passes everything.
 */
#include "answer.h"
#include "arm.h"
#include "budget.h"
#include "deliver.h"
#include "escalate.h"
#include "events.h"
#include "flows.h"
#include "lookup.h"
#include "maps.h"
#include "parse.h"
#include "services.h"
#include "sets.h"
#include "stats.h"

#include "learn.h"
#include "tc.h"

char LICENSE[] SEC("license") = "GPL";

/* What a packet's way through the program needs to know. */
struct context {
	struct xdp_md *ctx;
	struct sw_memory *memory;
	struct sw_config *config; /* of memory */
	struct sw_service *service;
	struct sw_state *state;
	__u32 index;	/* of the service */
	__u32 now;	/* tick */
	bool act;	/* false: monitor, count and pass */
};

/*
 * The way out of a packet: its reason, its verdict, and what else is to be done.
 * Decisions are made by returning one; leave() carries it out, so that the code
 * for what is rare stands in one place and not in the way of a flood.
 */
#define WAY_VERDICT_SHIFT 8
#define WAY_ESCALATE 0x10000 /* the daemon is asked */
#define WAY_DOUBT 0x20000    /* a ticket says the verdict, or the daemon shall be asked */
#define WAY_STAMP 0x40000    /* a SYN that goes up: what follows it is looked for in the kernel */

static __always_inline __u32 pass(enum sw_reason reason)
{
	return reason | XDP_PASS << WAY_VERDICT_SHIFT;
}

static __always_inline __u32 drop(enum sw_reason reason)
{
	return reason | XDP_DROP << WAY_VERDICT_SHIFT;
}

static __always_inline __u32 answer(enum sw_reason reason)
{
	return reason | XDP_TX << WAY_VERDICT_SHIFT;
}

static __always_inline __u32 pass_syn(enum sw_reason reason)
{
	return pass(reason) | WAY_STAMP;
}

/* What the tickets say; else up to the daemon, if there is room; else what the service says. */
static __always_inline __u32 doubted(const struct context *c, const struct view *v,
				     enum sw_reason reason, const int family)
{
	switch (escalate_source(v, c->index, escalate_doubt(reason), family)) {
	case SW_ACTION_PASS:
		return pass(SW_REASON_TICKET_PASS);
	case SW_ACTION_DROP:
		return drop(SW_REASON_TICKET_DROP);
	default:
		if (escalate_may(c->config, c->service, c->index, c->now))
			return pass(reason) | WAY_ESCALATE;
		return c->service->escalate_default == SW_ACTION_DROP ?
			       drop(SW_REASON_ESCALATE_LIMIT) :
			       pass(SW_REASON_ESCALATE_LIMIT);
	}
}

static __always_inline int leave(const struct context *c, const struct view *v, __u32 way,
				 const int family)
{
	enum sw_reason reason;
	int verdict;

	if (way & WAY_DOUBT)
		way = doubted(c, v, way & 0xff, family);
	reason = way & 0xff;
	verdict = way >> WAY_VERDICT_SHIFT & 0xff;
	if (way & WAY_STAMP && c->act)
		flows_stamp(c->memory, v->in.source, v->in.ports, family);
	if (verdict == XDP_DROP) {
		events_sample(c->config, v, c->index, reason, c->now, family);
		if (!c->act)
			verdict = XDP_PASS;
	}
	if (way & WAY_ESCALATE)
		deliver_metadata(c->ctx, c->config, SW_CLASS_ESCALATE, reason, c->index, 0, 0);
	stats_count(c->index, reason);
	return verdict;
}

/* Before a service is known. */
static __always_inline int leave_early(enum sw_reason reason, int verdict)
{
	stats_count(0, reason);
	return verdict;
}

/* The configured action for fragments, malformed packets and strays. */
static __always_inline __u32 by_policy(const struct context *c, enum sw_reason reason, __u8 action)
{
	if (action == SW_ACTION_DROP)
		return drop(reason);
	return pass(reason) | (action == SW_ACTION_ESCALATE && c->act ? WAY_DOUBT : 0);
}

/* Frames for others (a bridge, a tap in promiscuous mode) are not ours to judge. */
static __always_inline bool for_others(const struct sw_config *config, const __u8 *station)
{
	if (config->flags & SW_FLAG_CHECK_MAC)
		return *(__u32 *)station != *(__u32 *)config->mac ||
		       *(__u16 *)(station + 4) != *(__u16 *)(config->mac + 4);
	return station[0] & 1;
}

/* Nothing is known but that it is no good: the interface's action. */
static __always_inline int unparsed(struct xdp_md *ctx, struct sw_memory *memory,
				    enum sw_reason reason)
{
	struct sw_config *config = &memory->config;
	__u8 action = reason == SW_REASON_FRAGMENT ? config->fragment : config->malformed;
	const __u8 *station = (void *)(long)ctx->data;
	struct sw_service *service;

	if ((void *)(station + ETH_ALEN) <= (void *)(long)ctx->data_end && for_others(config, station))
		return leave_early(SW_REASON_NOT_OURS, XDP_PASS);
	if (action == SW_ACTION_ESCALATE) {
		service = services_get(memory, config->generation & 1, 0);
		action = SW_ACTION_PASS;
		if (escalate_may(config, service, 0, tick_now())) {
			deliver_metadata(ctx, config, SW_CLASS_ESCALATE, reason, 0, 0, 0);
		} else {
			reason = SW_REASON_ESCALATE_LIMIT;
			action = service->escalate_default;
		}
	}
	return leave_early(reason, action == SW_ACTION_DROP ? XDP_DROP : XDP_PASS);
}

/* Flags and sources that no real connection has; only looked at while armed. */
static __always_inline bool bad_flags(__u8 flags)
{
	if (flags & FLAG_SYN)
		return flags & (FLAG_FIN | FLAG_RST);
	return !(flags & (FLAG_ACK | FLAG_RST | FLAG_FIN));
}

static __always_inline bool bad_source(const struct view *v, const int family)
{
	if (family == SW_IPV4) {
		__u8 first = v->in.source[0];

		/* 0, 224 and above, loopback */
		return (__u8)(first - 1) >= 223 || first == 127 ||
		       v->in.source[0] == v->in.destination[0];
	}
	return (__u8)v->in.source[0] == 0xff ||
	       (!v->in.source[0] && (v->in.source[1] & 0xfeffffffffffffff) == 0) ||
	       (!v->in.source[0] && (__u32)v->in.source[1] == 0xffff0000) || /* ::ffff:0:0/96 */
	       (v->in.source[0] == v->in.destination[0] && v->in.source[1] == v->in.destination[1]);
}

#define ANSWER 0 /* no way out: go on */

/*
 * A SYN with an unusual layout of options, where the service does not just
 * answer it. By shape first: what is spoofed has as many sources as it likes.
 */
static __always_inline __u32 odd_syn(const struct context *c, const struct view *v,
				   const struct options *o, const int family)
{
	enum sw_action action = SW_ACTION_ESCALATE;
	struct sw_shape shape = {};

	if (c->service->odd_syn == SW_ACTION_DROP)
		return drop(SW_REASON_SYN_ODD);
	if (!c->act)
		return pass(SW_REASON_SYN_ODD);
	if (escalate_shape_of(v, o, &shape, family))
		action = escalate_shape(&shape, c->index, family);
	if (action == SW_ACTION_ESCALATE)
		action = escalate_source(v, c->index, SW_DOUBT_SYN, family);
	if (action == SW_ACTION_ESCALATE) {
		if (escalate_may(c->config, c->service, c->index, c->now))
			return pass_syn(SW_REASON_SYN_ODD) | WAY_ESCALATE;
		if (c->service->escalate_default == SW_ACTION_DROP)
			return drop(SW_REASON_ESCALATE_LIMIT);
		return ANSWER;
	}
	if (action == SW_ACTION_DROP)
		return drop(SW_REASON_TICKET_DROP);
	return ANSWER;
}

static __always_inline __u32 handle_syn(struct context *c, struct view *v, const int family)
{
	struct sw_config *config = c->config;
	struct sw_cpu *cpu = cpu_get();
	struct options options = {};
	struct reply reply;
	enum sw_reason reason;
	bool signs = false;
	__u32 way;

	if (!cpu)
		return pass(SW_REASON_INTERNAL);
	if (flows_maybe(c->memory, c->state, v, family)) {
		/* a tuple in TIME_WAIT, or one whose client restarted: the kernel's matter */
		if (lookup_known(c->ctx, c->service, v, family))
			return pass_syn(SW_REASON_SYN_KNOWN);
		if (c->act)
			flows_delete(c->memory, v, family);
	}
	if (!lookup_behind(c->service)) {
		switch (lookup_listener_cached(c->ctx, config, cpu, v, c->now, family)) {
		case SW_LISTENER_PLAIN:
			break;
		case SW_LISTENER_SIGNED:
			signs = true;
			break;
		case SW_LISTENER_MPTCP:
			return pass_syn(SW_REASON_SYN_MPTCP);
		/* what follows these passes unasked, and spoofed ones must not fill the filter */
		case SW_LISTENER_FORWARDED:
			return pass(SW_REASON_SYN_FORWARDED);
		default:
			return pass(SW_REASON_SYN_NO_LISTENER);
		}
	}
	if (!answer_options(c->ctx, v, &options)) {
		if (signs && options.signed_)
			return pass_syn(SW_REASON_SYN_SIGNED);
		if (c->service->odd_syn != SW_ACTION_PASS) {
			way = odd_syn(c, v, &options, family);
			if (way != ANSWER)
				return way;
		}
	}
	reason = budget_reply(config, cpu, v->in.source, c->now, family);
	if (reason != SW_REASON_COUNT)
		return drop(reason);
	if (!c->act)
		return pass(SW_REASON_SYN_ANSWERED);
	reason = answer_prepare(c->ctx, config, c->service, cpu, v, &options, &reply, family);
	if (reason != SW_REASON_COUNT)
		return pass_syn(reason);
	if (!answer_write(c->ctx, c->service, v, &reply, family))
		return drop(SW_REASON_SYN_NO_ROOM);
	return answer(SW_REASON_SYN_ANSWERED);
}

/* The kernel has the connection: from now on one look-up in the flow table suffices. */
static __always_inline __u32 learned(const struct context *c, const struct view *v, const int family)
{
	if (c->act)
		flows_add(c->memory, v, 0, SW_FLOW_CONFIRMED, c->now, family);
	return pass(SW_REASON_FLOW_LEARNED);
}

static __always_inline __u32 delivered(const struct context *c, const struct view *v, __u8 options,
				     enum sw_reason reason, const int family)
{
	flows_add(c->memory, v, options, SW_FLOW_HANDSHAKE, c->now, family);
	if (c->config->flags & SW_FLAG_REPORT)
		events_handshake(c->config, v, c->index, c->now, family);
	deliver_metadata(c->ctx, c->config, SW_CLASS_HANDSHAKE, reason, c->index, options,
			 (void *)v->tcp - v->l3);
	return pass(reason);
}

static __always_inline __u32 stray(const struct context *c, const struct view *v)
{
	enum sw_reason reason = SW_REASON_STRAY_OTHER;

	if (v->flags & FLAG_SYN)
		reason = SW_REASON_STRAY_SYNACK;
	else if (v->flags & FLAG_RST)
		reason = SW_REASON_STRAY_RST;
	else if (v->flags & FLAG_ACK)
		reason = SW_REASON_STRAY_ACK;
	return by_policy(c, reason, c->service->stray);
}

/*
 * SYNs to where nobody listens were passed, so what follows them must be too: a
 * redirected or forwarded connection has no socket under this address and port.
 */
static __always_inline bool unheard(const struct context *c, struct view *v, const int family)
{
	struct sw_cpu *cpu;
	__u32 kind;

	if (lookup_behind(c->service))
		return false;
	cpu = cpu_get();
	if (!cpu)
		return true;
	kind = lookup_listener_cached(c->ctx, c->config, cpu, v, c->now, family);
	return kind == SW_LISTENER_NONE || kind == SW_LISTENER_FORWARDED;
}

/*
 * Does it answer, or count what it would answer? Asked twice rather than remembered: the
 * verifier would follow what is remembered through all that comes, once for each answer.
 */
static __always_inline bool is_active(const struct context *c)
{
	return c->service->mode == SW_MODE_COOKIE ||
	       (c->service->mode != SW_MODE_OFF && arm_is_armed(c->service, c->state, c->now));
}

static __always_inline enum sw_reason idle_reason(const struct context *c)
{
	return c->service->mode == SW_MODE_OFF ? SW_REASON_SERVICE_OFF : SW_REASON_SERVICE_IDLE;
}

/* Per CPU: a look costs three times what a stray does, and a flood shall not have it. */
#define OLD_COOKIES_A_TICK 32

/* An ACK of a cookie that the listener gave when the service was not armed yet. */
static __always_inline bool old_cookie(const struct context *c, const struct view *v, const int family)
{
	struct sw_cpu *cpu = cpu_get();
	struct kcookie_request q = {
		.l3 = v->l3 - v->data,
		.l4 = (void *)v->tcp - v->data,
		.family = family,
	};

	if (!cpu || c->service->delivery != SW_DELIVERY_REQSK ||
	    !arm_is_fresh(c->config, c->state, c->now))
		return false;
	if (cpu->old_cookie_tick != c->now) {
		cpu->old_cookie_tick = c->now;
		cpu->old_cookies = 0;
	}
	return cpu->old_cookies++ < OLD_COOKIES_A_TICK && kcookie_check(c->ctx, &q) == 0;
}

/* Anything but a SYN. */
static __always_inline __u32 handle_segment(struct context *c, struct view *v, const int family)
{
	bool ack = (v->flags & (FLAG_SYN | FLAG_RST | FLAG_ACK)) == FLAG_ACK;
	bool maybe = flows_maybe(c->memory, c->state, v, family);
	enum sw_reason reason = SW_REASON_ACK_VALIDATED;
	__u64 flow, *place;
	__u8 options;

	if (maybe) {
		place = flows_find(c->memory, v, &flow, family);
		if (place) {
			__u32 age = sw_flow_age(flow, c->now);

			if (sw_flow_state_of(flow) == SW_FLOW_CONFIRMED) {
				/* so that a full set loses one that is not in use */
				if (age > c->config->hz)
					flows_confirm(place, flow, c->now);
				return pass(SW_REASON_FLOW_KNOWN);
			}
			if (age <= c->config->grace_ticks) {
				/* its ACK may still be in the same batch, without a socket */
				if (c->service->delivery == SW_DELIVERY_REQSK)
					deliver_metadata(c->ctx, c->config, SW_CLASS_FOLLOWS,
							 SW_REASON_ACK_FOLLOWS, c->index,
							 sw_flow_options(flow),
							 (void *)v->tcp - v->l3);
				return pass(SW_REASON_ACK_FOLLOWS);
			}
			if (lookup_known(c->ctx, c->service, v, family)) {
				flows_confirm(place, flow, c->now);
				return pass(SW_REASON_FLOW_KNOWN);
			}
			/* the first delivery was lost: this one may carry the cookie again */
			reason = SW_REASON_ACK_REVALIDATED;
		}
	}
	/* where nothing is answered any more (monitor), own cookies of before still count */
	if (ack && (c->act || c->service->delivery == SW_DELIVERY_REQSK) &&
	    deliver_check(c->ctx, c->config, c->service, v, &options, family))
		return delivered(c, v, options, reason, family);
	if (!is_active(c))
		return pass(idle_reason(c));
	/* a SYN-ACK answers a SYN that left without our seeing it */
	if ((maybe || v->flags & FLAG_SYN) && lookup_known(c->ctx, c->service, v, family))
		return learned(c, v, family);
	if (unheard(c, v, family))
		return pass(SW_REASON_NO_LISTENER);
	if (ack && old_cookie(c, v, family))
		return pass_syn(SW_REASON_ACK_OLD_COOKIE);
	return stray(c, v);
}

/*
 * A packet of an allowed source. Its connections outlive the entry: their SYNs are
 * stamped like those of others.
 */
static __always_inline __u32 allowed(const struct context *c, const struct view *v)
{
	if ((v->flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN &&
	    (c->service->mode == SW_MODE_COOKIE || arm_is_armed(c->service, c->state, c->now)))
		return pass_syn(SW_REASON_SOURCE_ALLOWED);
	return pass(SW_REASON_SOURCE_ALLOWED);
}

/* A packet of a service; `objection` is the parser's, or SW_REASON_COUNT. */
static __always_inline __u32 handle_service(struct context *c, struct view *v,
					    enum sw_reason objection, const int family)
{
	bool syn = (v->flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN;
	struct sw_config *config = c->config;
	__u32 fate;

	if (c->service->mode != SW_MODE_OFF) {
		if (for_others(config, v->data))
			return pass(SW_REASON_NOT_OURS);
		fate = sets_fate(c->memory, v, family);
		if (fate == SW_FATE_DENY)
			return drop(SW_REASON_SOURCE_DENIED);
		if (fate == SW_FATE_ALLOW)
			return allowed(c, v);
		if (objection != SW_REASON_COUNT)
			return by_policy(c, objection,
					 objection == SW_REASON_FRAGMENT ? c->service->fragment
									 : c->service->malformed);
		if (syn && c->service->mode != SW_MODE_COOKIE)
			arm_syn(c->ctx, config, c->service, c->state, c->index, v, c->now, family);
	}
	if (!is_active(c)) {
		if (syn || objection != SW_REASON_COUNT ||
		    !arm_lingers(config, c->service, c->state, c->now))
			return pass(idle_reason(c));
	} else if (bad_flags(v->flags)) {
		return by_policy(c, SW_REASON_BAD_FLAGS, c->service->malformed);
	} else if (bad_source(v, family)) {
		return by_policy(c, SW_REASON_BAD_SOURCE, c->service->malformed);
	} else if (syn) {
		return handle_syn(c, v, family);
	}
	return handle_segment(c, v, family);
}

/* A TCP packet whose ports were read. */
static __always_inline int handle_tcp(struct xdp_md *ctx, struct sw_memory *memory, struct view *v,
				      enum sw_reason objection, const int family)
{
	struct context c = { .ctx = ctx, .memory = memory, .config = &memory->config };
	__u32 generation = c.config->generation & 1;

	c.index = services_find(memory, generation, v, family);
	if (!c.index)
		return leave_early(SW_REASON_NO_SERVICE, XDP_PASS);
	c.service = services_get(memory, generation, c.index);
	c.state = services_state(memory, c.index);
	c.act = c.service->mode != SW_MODE_MONITOR;
	c.now = tick_now();
	return leave(&c, v, handle_service(&c, v, objection, family), family);
}

static __always_inline int handle_ip(struct xdp_md *ctx, struct sw_memory *memory, struct view *v,
				     const int family)
{
	enum sw_reason reason = family == SW_IPV4 ? parse_ipv4(v, ctx) : parse_ipv6(v, ctx);

	if (reason == SW_REASON_NOT_TCP)
		return leave_early(reason, XDP_PASS);
	if (!v->port_known)
		return unparsed(ctx, memory, reason);
	return handle_tcp(ctx, memory, v, reason, family);
}

SEC("xdp")
int synward(struct xdp_md *ctx)
{
	struct view v = {
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	struct sw_memory *memory = memory_get();
	__u32 protocol;

	if (!memory || memory->config.abi != SW_ABI_VERSION)
		return leave_early(SW_REASON_NO_POLICY, XDP_PASS);
	protocol = parse_ethernet(&v);
	if (protocol == ETHERTYPE(ETH_P_IP))
		return handle_ip(ctx, memory, &v, SW_IPV4);
	if (protocol == ETHERTYPE(ETH_P_IPV6))
		return handle_ip(ctx, memory, &v, SW_IPV6);
	if (protocol == PARSE_TRUNCATED)
		return unparsed(ctx, memory, SW_REASON_BAD_ETHERNET);
	return leave_early(SW_REASON_NOT_IP, XDP_PASS);
}
