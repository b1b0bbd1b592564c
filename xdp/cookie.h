/* SPDX-License-Identifier: GPL-2.0-only */
/* The own cookie; its format is explained in docs/cookies.md. Pure: no map, no clock. */
#ifndef SYNWARD_XDP_COOKIE_H
#define SYNWARD_XDP_COOKIE_H

#include "abi/policy.h"
#include "siphash.h"

/* The option byte. */
#define COOKIE_WSCALE_MASK 0x0f
#define COOKIE_WSCALE_NONE 0x0f
#define COOKIE_SACK 0x10
#define COOKIE_ECN 0x20
#define COOKIE_MSS_SHIFT 6

#define COOKIE_MAX_WSCALE 14 /* RFC 7323, section 2.3 */

#define COOKIE_CHECK_SHIFT 41
#define COOKIE_MASK_SHIFT 33

/* What a hash covers; addresses and ports as they stand in the packet. */
struct cookie_input {
	__u64 source[2]; /* IPv4: the address in the low 32 bits of the first */
	__u64 destination[2];
	__u32 ports; /* source port in the low half */
	__u32 isn;   /* client ISN, network byte order */
};

static __always_inline __u64 cookie_hash(const struct cookie_input *in, const __u64 key[2],
					 __u32 epoch, const int family)
{
	struct siphash s;

	siphash_init(&s, key);
	if (family == SW_IPV4) {
		siphash_word(&s, in->source[0] | in->destination[0] << 32);
		siphash_word(&s, in->ports | (__u64)in->isn << 32);
		siphash_word(&s, epoch | 4ULL << 32 | 21ULL << 56);
	} else {
		siphash_word(&s, in->source[0]);
		siphash_word(&s, in->source[1]);
		siphash_word(&s, in->destination[0]);
		siphash_word(&s, in->destination[1]);
		siphash_word(&s, in->ports | (__u64)in->isn << 32);
		siphash_word(&s, epoch | 6ULL << 32 | 45ULL << 56);
	}
	return siphash_end(&s);
}

/* The key of an epoch. Serial arithmetic: the epoch may wrap. */
static __always_inline const __u64 *cookie_key(const struct sw_keyring *ring, __u32 epoch)
{
	__u64 current = ring->current;

	if ((__s32)(epoch - ring->since) < 0)
		current ^= 1;
	BOUND_MASK(current, 1);
	return ring->key[current];
}

/* ISN of the SYN-ACK, host byte order. */
static __always_inline __u32 cookie_isn(__u64 hash, __u8 options, __u32 epoch)
{
	__u32 check = hash >> COOKIE_CHECK_SHIFT;
	__u8 mask = hash >> COOKIE_MASK_SHIFT;

	return check << 9 | (__u32)(__u8)(options ^ mask) << 1 | (epoch & 1);
}

/* The epoch that an ISN names: this one or the one before. */
static __always_inline __u32 cookie_epoch(__u32 isn, __u32 now_epoch)
{
	return now_epoch - ((isn ^ now_epoch) & 1);
}

static __always_inline bool cookie_matches(__u64 hash, __u32 isn)
{
	return isn >> 9 == (__u32)(hash >> COOKIE_CHECK_SHIFT);
}

static __always_inline __u8 cookie_options(__u64 hash, __u32 isn)
{
	return (__u8)(isn >> 1) ^ (__u8)(hash >> COOKIE_MASK_SHIFT);
}

static __always_inline __u32 cookie_tsval(__u64 hash)
{
	return (__u32)hash;
}

/*
 * MSS tables: IPv4 as in net/ipv4/syncookies.c, IPv6 as in
 * net/ipv6/syncookies.c (Linux 6.1). A comparison chain, since a table in
 * .rodata would cost a load that depends on the packet.
 */
static __always_inline __u8 cookie_mss_index(__u16 mss, const int family)
{
	if (family == SW_IPV4)
		return mss >= 1460 ? 3 : mss >= 1440 ? 2 : mss >= 1300 ? 1 : 0;
	return mss >= 8940 ? 3 : mss >= 1440 ? 2 : mss >= 1420 ? 1 : 0;
}

static __always_inline __u16 cookie_mss(__u8 options, const int family)
{
	switch (options >> COOKIE_MSS_SHIFT) {
	case 3:
		return family == SW_IPV4 ? 1460 : 8940;
	case 2:
		return 1440;
	case 1:
		return family == SW_IPV4 ? 1300 : 1420;
	default:
		return family == SW_IPV4 ? 536 : 1220;
	}
}

#endif
