/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * How a verdict of XDP travels: as eight bytes of XDP metadata to the tc
 * program, from there as skb mark to netfilter.
 */
#ifndef SYNWARD_ABI_METADATA_H
#define SYNWARD_ABI_METADATA_H

#include "types.h"

#define SW_METADATA_MAGIC 0x5359 /* "SY" */

enum sw_class {
	SW_CLASS_NONE,
	SW_CLASS_HANDSHAKE, /* validated ACK: make the connection */
	SW_CLASS_FOLLOWS,   /* right behind one: its socket may not be there yet */
	SW_CLASS_ESCALATE,  /* the daemon shall decide */
};

struct sw_metadata {
	__u16 magic;   /* SW_METADATA_MAGIC */
	__u8 class_;   /* enum sw_class */
	__u8 reason;   /* enum sw_reason */
	__u8 service;  /* index */
	__u8 options;  /* the cookie's option byte */
	__u16 tcp_offset; /* of the TCP header, from the IP header, bytes */
};
SW_ASSERT_SIZE(struct sw_metadata, 8);

/*
 * skb mark: byte 0 is the class that classification copies into the conntrack
 * mark (the only byte of the conntrack mark that is ours); byte 1 asks for the
 * daemon and says why. The other bytes are left alone.
 */
#define SW_MARK_CLASS_MASK 0x000000ffu
#define SW_MARK_VALIDATED 0x00000001u /* the handshake was proven */
#define SW_MARK_ALLOW 0x0000000au     /* fates of set entries: allow, accept, deny ... */
#define SW_MARK_ACCEPT 0x0000000bu
#define SW_MARK_DENY 0x0000000du
#define SW_MARK_FIRST 0x00000010u     /* ... and what an administrator defines, up to 0xff */
#define SW_MARK_ESCALATE_MASK 0x0000ff00u
#define SW_MARK_ESCALATE 0x00008000u /* set: escalate; bits 8-14: enum sw_reason */
#define SW_MARK_REASON_SHIFT 8

#endif
