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

/* NH's step: one product of two 32-bit sums. */
static __always_inline __u64 cookie_nh(__u32 a, __u32 b, const __u32 key[2])
{
	return (__u64)(a + key[0]) * (__u32)(b + key[1]);
}

/*
 * NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC", CRYPTO 1999) compresses
 * the input to 64 bits that nobody but us can tell, SipHash-1-3 of that one word
 * authenticates it: four rounds, where SipHash-2-4 of everything would take ten
 * for IPv4 and sixteen for IPv6. docs/cookies.md says why that is enough.
 */
static __always_inline __u64 cookie_hash(const struct cookie_input *in,
					 const struct sw_epoch_key *key, const int family)
{
	const __u64 *start = key->siphash[family];
	struct siphash s = { start[0], start[1], start[2], start[3] };
	__u64 word;

	if (family == SW_IPV4) {
		word = cookie_nh(in->source[0], in->destination[0], key->nh) +
		       cookie_nh(in->ports, in->isn, key->nh + 2);
	} else {
		word = cookie_nh(in->source[0], in->source[0] >> 32, key->nh) +
		       cookie_nh(in->source[1], in->source[1] >> 32, key->nh + 2) +
		       cookie_nh(in->destination[0], in->destination[0] >> 32, key->nh + 4) +
		       cookie_nh(in->destination[1], in->destination[1] >> 32, key->nh + 6) +
		       cookie_nh(in->ports, in->isn, key->nh + 8);
	}
	return siphash_finish(s, word, 1, 3);
}

typedef __u64 __attribute__((may_alias)) cookie_word;

/*
 * The key of an epoch. Serial arithmetic: the epoch may wrap. `since` and `active` are
 * read at once, as user space stores them.
 */
static __always_inline const __u64 *cookie_master(const struct sw_keyring *ring, __u32 epoch)
{
	__u64 named = *(const volatile cookie_word *)&ring->since;
	__u64 active = named >> 32;

	if ((__s32)(epoch - (__u32)named) < 0)
		active ^= 1;
	BOUND_MASK(active, 1);
	return ring->key[active];
}

static __always_inline __u64 cookie_derive_word(const __u64 *master, __u32 epoch, __u64 index)
{
	return siphash_of_word(master, epoch | index << 32 | 5ULL << 56, 2, 4);
}

/*
 * The keys of an epoch: SipHash-2-4 of epoch and a running index under the master
 * key. So neither epoch nor family needs a place in what every packet hashes.
 */
static __always_inline void cookie_derive(struct sw_epoch_key *to, const struct sw_keyring *ring,
					  __u32 epoch)
{
	/* first: where a rotation comes in between, the keys are derived once more */
	const __u32 version = LOAD_ACQUIRE(ring->version);
	const __u64 *master = cookie_master(ring, epoch);
	struct siphash s;
	__u64 key[2];
	int i;

	for (i = 0; i < SW_FAMILIES; i++) {
		key[0] = cookie_derive_word(master, epoch, 2 * i);
		key[1] = cookie_derive_word(master, epoch, 2 * i + 1);
		siphash_start(&s, key);
		to->siphash[i][0] = s.v0;
		to->siphash[i][1] = s.v1;
		to->siphash[i][2] = s.v2;
		to->siphash[i][3] = s.v3;
	}
	for (i = 0; i < SW_NH_WORDS / 2; i++) {
		__u64 word = cookie_derive_word(master, epoch, 4 + i);

		to->nh[2 * i] = word;
		to->nh[2 * i + 1] = word >> 32;
	}
	to->epoch = epoch;
	to->version = version;
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
