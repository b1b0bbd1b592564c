/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keyed multiply-shift hashes (Dietzfelbinger et al., 1997) that pick a slot in
 * the filter, the buckets and the gates. They are not authenticators: whoever
 * predicted one would gain a collision that costs us a table look-up, so that
 * two nanoseconds are better than twenty. The keys are odd random numbers in
 * sw_config.hash_key. Pure.
 */
#ifndef SYNWARD_XDP_HASH_H
#define SYNWARD_XDP_HASH_H

#include "abi/flow.h"
#include "user.h"

enum { HASH_FILTER, HASH_FILTER2, HASH_FILTER3, HASH_PREFIX, HASH_LISTENER, HASH_LISTENER2,
       HASH_GATE, HASH_GATE2,
       /* of what is hashed on by other keys first */
       HASH_FLOW = HASH_LISTENER, HASH_FLOW2 = HASH_GATE };

/* Source address and both ports (source port in the low half): a bijection for IPv4. */
static __always_inline __u64 hash_source(const __u64 key[8], const __u64 source[2], __u32 ports,
					 const int family)
{
	__u64 h;

	if (family == SW_IPV4)
		return (source[0] | (__u64)ports << 32) * key[HASH_FILTER];
	h = source[0] * key[HASH_FILTER2];
	h = (h ^ h >> 32 ^ source[1]) * key[HASH_FILTER3];
	return (h ^ h >> 32 ^ ports) * key[HASH_FILTER];
}

/* Slot in sw_filter. */
static __always_inline __u32 hash_filter(const __u64 key[8], const __u64 source[2], __u32 ports,
					 const int family)
{
	return hash_source(key, source, ports, family) >> (64 - SW_FILTER_SHIFT);
}

/* Place and tag in sw_flows. Every step is a bijection of what was mixed before. */
static __always_inline __u64 hash_flow(const __u64 key[8], const __u64 source[2],
				       const __u64 destination[2], __u32 ports, const int family)
{
	__u64 h = hash_source(key, source, ports, family);

	h = (h ^ h >> 32 ^ destination[0]) * key[HASH_FLOW];
	if (family == SW_IPV6)
		h = (h ^ h >> 32 ^ destination[1]) * key[HASH_FLOW2];
	return h ^ h >> 32;
}

/* Bucket of the source's /24 or /48. */
static __always_inline __u32 hash_prefix(const __u64 key[8], const __u64 source[2], const int family)
{
	__u64 prefix = family == SW_IPV4 ? source[0] & 0xffffff : source[0] & 0xffffffffffff;

	return (prefix + 1) * key[HASH_PREFIX] >> 52 & (SW_PREFIX_BUCKETS - 1);
}

/*
 * Place and tag in sw_exact; port 0: of an entry for every port. IPv4: the low 48
 * bits are a bijection of address and port, as the keys are odd; by one product alone
 * neighbours, or the ports of an address, would crowd together. IPv6: two
 * pair-multiply-shift hashes of 32 bits with keys of their own (Thorup, High Speed
 * Hashing for Integers and Strings, 2015), since here a collision would be a wrong
 * fate: for any two addresses either has one with 2^-31 at most (keys that are odd
 * have 63 random bits). For the port each borrows a key of the other; not the one at
 * the same place, or ports and addresses could differ so that both collide as one.
 */
static __always_inline __u64 hash_exact(const __u64 key[8], const __u64 source[2], __u32 port,
					const int family)
{
	__u64 word[4], high, low;

	if (family == SW_IPV4) {
		low = (source[0] | (__u64)port << 32) * key[HASH_LISTENER] & 0xffffffffffff;
		return (low ^ low >> 24) * key[HASH_LISTENER2];
	}
	word[0] = (__u32)source[0];
	word[1] = source[0] >> 32;
	word[2] = (__u32)source[1];
	word[3] = source[1] >> 32;
	high = (word[0] + key[0]) * (word[1] + key[1]) + (word[2] + key[2]) * (word[3] + key[3]);
	low = (word[0] + key[4]) * (word[1] + key[5]) + (word[2] + key[6]) * (word[3] + key[7]);
	high += port * key[4];
	low += port * key[1];
	return (high >> 32 << 32) | low >> 32;
}

/* Names a local address and port: exact for IPv4, 64 hash bits for IPv6; never 0. */
static __always_inline __u64 hash_listener(const __u64 key[8], const __u64 destination[2],
					   __u32 ports, const int family)
{
	__u64 h;

	if (family == SW_IPV4)
		return destination[0] | (__u64)(ports >> 16) << 32 | 1ULL << 63;
	h = hash_exact(key, destination, 0, SW_IPV6);
	return (h ^ (__u64)(ports >> 16) * key[HASH_LISTENER2]) | 1;
}

static __always_inline __u32 hash_listener_slot(const __u64 key[8], __u64 tag)
{
	return tag * key[HASH_LISTENER] >> 56 & (SW_LISTENER_SLOTS - 1);
}

/*
 * Word of the exact gate of 1 << shift bits (10 to 26), and two bits in it: a Bloom
 * filter of blocks (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom
 * Filters, 2007). A source of no set that finds its bits set costs a look-up where no
 * cache helps, so that the second bit, which lets through a tenth as many, is cheap.
 */
static __always_inline __u32 hash_gate_exact(const __u64 key[8], const __u64 source[2], __u32 shift,
					     __u64 *bits, const int family)
{
	__u64 h = source[0] * key[HASH_GATE];

	if (family == SW_IPV6)
		h ^= source[1] * key[HASH_GATE2];
	h >>= (58 - shift) & 63;
	*bits = 1ULL << (h & 63) | 1ULL << (h >> 6 & 63);
	return h >> 12;
}

static __always_inline __u32 hash_gate_prefix(const __u64 source[2], const int family)
{
	__u16 first = __builtin_bswap16((__u16)source[0]);

	if (family == SW_IPV4)
		return first;
	return (__u16)(first * 40503u) ^ __builtin_bswap16((__u16)(source[0] >> 16));
}

#endif
