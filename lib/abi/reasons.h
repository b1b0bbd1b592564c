/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * Every way out of synward has exactly one reason, and every reason has one
 * counter. This list is the only place where they are written down: the enum,
 * the index in the counter map, the JSON keys, the metric names and the tables
 * of the documentation are made from it.
 *
 *   X(NAME, name, ACTION, "what happened")
 *
 * ACTION is what the program does with the packet:
 *   PASS    on to the kernel
 *   DROP    freed at the driver
 *   TX      answered: the reply leaves by the interface the packet came from
 *   POLICY  what the service (or, where no port could be read, the interface)
 *           says: pass, drop or escalate
 *   TC      counted in addition by the tc program, for a packet XDP passed
 *   RING    counted in addition by the module's verdict ring
 *
 * A reason is never renumbered or reused; new ones go to the end.
 */
#ifndef SYNWARD_ABI_REASONS_H
#define SYNWARD_ABI_REASONS_H

#include "types.h"

/* clang-format off */
#define SW_REASONS(X) \
	/* before a service is known */ \
	X(NO_POLICY,         no_policy,         PASS,   "no policy is loaded") \
	X(NOT_IP,            not_ip,            PASS,   "neither IPv4 nor IPv6") \
	X(NOT_TCP,           not_tcp,           PASS,   "not TCP") \
	X(NOT_OURS,          not_ours,          PASS,   "frame for another station, or broadcast") \
	X(NO_SERVICE,        no_service,        PASS,   "no service on this port") \
	X(FRAGMENT,          fragment,          POLICY, "IP fragment that may carry TCP") \
	X(BAD_ETHERNET,      bad_ethernet,      POLICY, "truncated Ethernet or VLAN header") \
	X(BAD_IP,            bad_ip,            POLICY, "truncated or inconsistent IP header") \
	X(BAD_EXTENSION,     bad_extension,     POLICY, "IPv6 extension headers truncated, or more than are followed") \
	X(BAD_TCP,           bad_tcp,           POLICY, "truncated TCP header, or data offset out of range") \
	X(BAD_FLAGS,         bad_flags,         POLICY, "TCP flags that no connection uses (SYN with FIN or RST, or none)") \
	X(BAD_SOURCE,        bad_source,        POLICY, "source that nobody can answer (multicast, loopback, zero, our own)") \
	/* by service */ \
	X(SERVICE_OFF,       service_off,       PASS,   "the service is switched off") \
	X(SERVICE_IDLE,      service_idle,      PASS,   "the service is not armed") \
	X(SOURCE_DENIED,     source_denied,     DROP,   "the source is denied") \
	X(SOURCE_ALLOWED,    source_allowed,    PASS,   "the source is allowed without a check") \
	/* SYN */ \
	X(SYN_ANSWERED,      syn_answered,      TX,     "SYN answered with a cookie") \
	X(SYN_OVER_BUDGET,   syn_over_budget,   DROP,   "SYN beyond the reply budget of the interface") \
	X(SYN_OVER_PREFIX,   syn_over_prefix,   DROP,   "SYN beyond the reply budget of its source prefix") \
	X(SYN_KNOWN,         syn_known,         PASS,   "SYN for a connection the kernel still holds (TIME_WAIT, established)") \
	X(SYN_NO_LISTENER,   syn_no_listener,   PASS,   "SYN to a port where nothing listens") \
	X(SYN_MPTCP,         syn_mptcp,         PASS,   "SYN to an MPTCP listener, which takes no cookie of ours") \
	X(SYN_FORWARDED,     syn_forwarded,     PASS,   "SYN to an address that is not of this host") \
	X(SYN_NO_COOKIE,     syn_no_cookie,     PASS,   "the kernel gave no cookie for this SYN") \
	X(SYN_NO_ROOM,       syn_no_room,       DROP,   "the driver left no room for the reply") \
	/* the rest of a connection */ \
	X(ACK_VALIDATED,     ack_validated,     PASS,   "ACK with a good cookie: a new connection") \
	X(ACK_REVALIDATED,   ack_revalidated,   PASS,   "good cookie again: the first delivery was lost") \
	X(ACK_FOLLOWS,       ack_follows,       PASS,   "right behind a validated ACK") \
	X(FLOW_KNOWN,        flow_known,        PASS,   "packet of a known connection") \
	X(FLOW_LEARNED,      flow_learned,      PASS,   "packet of a connection learned from the kernel") \
	X(STRAY_ACK,         stray_ack,         POLICY, "ACK with a wrong cookie, unknown to the kernel") \
	X(STRAY_SYNACK,      stray_synack,      POLICY, "SYN-ACK to nothing we sent") \
	X(STRAY_RST,         stray_rst,         POLICY, "RST of no known connection") \
	X(STRAY_OTHER,       stray_other,       POLICY, "other segment of no known connection") \
	X(INTERNAL,          internal,          PASS,   "a map or a helper failed unexpectedly") \
	/* tc, for what XDP passed */ \
	X(TC_ASSIGNED,       tc_assigned,       TC,     "request socket made from the cookie") \
	X(TC_REFUSED,        tc_refused,        TC,     "the kernel refused the request socket") \
	X(TC_NO_LISTENER,    tc_no_listener,    TC,     "the listener went away before the ACK came") \
	X(TC_ACCEPT_FULL,    tc_accept_full,    TC,     "accept queue full: dropped, the client retransmits") \
	X(TC_MARKED,         tc_marked,         TC,     "skb mark written") \
	/* added later */ \
	X(NO_LISTENER,       no_listener,       PASS,   "segment to a port where nothing listens, or that is redirected") \
	X(SYN_ODD,           syn_odd,           POLICY, "SYN with an unusual layout of options") \
	X(TICKET_PASS,       ticket_pass,       PASS,   "decided before: passed without asking again") \
	X(TICKET_DROP,       ticket_drop,       DROP,   "decided before: dropped without asking again") \
	X(ESCALATE_LIMIT,    escalate_limit,    POLICY, "doubtful, but beyond the escalation budget: the service's default") \
	/* the module's ring, for what was escalated */ \
	X(RING_HELD,         ring_held,         RING,   "held for a verdict") \
	X(RING_COPIED,       ring_copied,       RING,   "copied to the reader and dropped") \
	X(RING_ACCEPTED,     ring_accepted,     RING,   "verdict: accepted, resumed at the next hook") \
	X(RING_DROPPED,      ring_dropped,      RING,   "verdict: dropped") \
	X(RING_NO_READER,    ring_no_reader,    RING,   "no reader: fail policy") \
	X(RING_FULL,         ring_full,         RING,   "no free slot: fail policy") \
	X(RING_OVER_BYTES,   ring_over_bytes,   RING,   "more bytes held than allowed: fail policy") \
	X(RING_EXPIRED,      ring_expired,      RING,   "no verdict within the deadline: fail policy") \
	X(RING_CLOSED,       ring_closed,       RING,   "the reader went away: fail policy") \
	X(RING_DEVICE_GONE,  ring_device_gone,  RING,   "the packet's interface went down: dropped") \
	X(RING_NO_MEMORY,    ring_no_memory,    RING,   "memory could not be had: fail policy") \
	X(RING_STALE,        ring_stale,        RING,   "verdict for a packet no longer held: ignored") \
	X(RING_BAD_VERDICT,  ring_bad_verdict,  RING,   "verdict that makes no sense: ignored") \
	X(RING_FOREIGN,      ring_foreign,      RING,   "not to be held (cookie's socket, bridge, VRF): goes on at once") \
	X(RING_UNSEEN,       ring_unseen,       RING,   "copy that the reader had not seen by the deadline, or when it went") \
	/* of a service, too */ \
	X(SYN_SIGNED,        syn_signed,        PASS,   "SYN with TCP-MD5 or TCP-AO to a listener that has keys") \
	X(ACK_OLD_COOKIE,    ack_old_cookie,    PASS,   "ACK with a cookie that the kernel gave before the service was armed")
/* clang-format on */

enum sw_reason {
#define X(NAME, name, action, text) SW_REASON_##NAME,
	SW_REASONS(X)
#undef X
		SW_REASON_COUNT
};

/* Room in the counter map; it grows without changing the layout. */
#define SW_REASON_SLOTS 64
SW_ASSERT(SW_REASON_COUNT <= SW_REASON_SLOTS, "SW_REASON_SLOTS is too small");

/* Value of the per-CPU map sw_stats, one per service; slot 0 is "no service". */
struct sw_stats {
	__u64 packets[SW_REASON_SLOTS]; /* indexed by enum sw_reason */
};
SW_ASSERT_SIZE(struct sw_stats, 512);

#endif
