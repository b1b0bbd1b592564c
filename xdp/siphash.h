/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SipHash-c-d (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * INDOCRYPT 2012) of inputs that fit into one 64-bit little-endian word: seven
 * bytes at most with the length in the top byte, as the paper defines it, or a
 * whole word where all inputs have the same length.
 */
#ifndef SYNWARD_XDP_SIPHASH_H
#define SYNWARD_XDP_SIPHASH_H

#include "user.h"

struct siphash {
	__u64 v0, v1, v2, v3;
};

#define SW_ROTATE_LEFT(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

/* The part of a round that a word of input, which comes by v3, does not touch. */
static __always_inline void siphash_half_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v1 = SW_ROTATE_LEFT(s->v1, 13);
	s->v1 ^= s->v0;
	s->v0 = SW_ROTATE_LEFT(s->v0, 32);
}

static __always_inline void siphash_other_half(struct siphash *s)
{
	s->v2 += s->v3;
	s->v3 = SW_ROTATE_LEFT(s->v3, 16);
	s->v3 ^= s->v2;
	s->v0 += s->v3;
	s->v3 = SW_ROTATE_LEFT(s->v3, 21);
	s->v3 ^= s->v0;
	s->v2 += s->v1;
	s->v1 = SW_ROTATE_LEFT(s->v1, 17);
	s->v1 ^= s->v2;
	s->v2 = SW_ROTATE_LEFT(s->v2, 32);
}

static __always_inline void siphash_rounds(struct siphash *s, const int rounds)
{
	int i;

	UNROLL
	for (i = 0; i < rounds; i++) {
		siphash_half_round(s);
		siphash_other_half(s);
	}
}

/* The state under a key just before the first word comes: the same for all words. */
static __always_inline void siphash_start(struct siphash *s, const __u64 key[2])
{
	__u64 k0 = key[0], k1 = key[1];

	s->v0 = k0 ^ 0x736f6d6570736575ULL;
	s->v1 = k1 ^ 0x646f72616e646f6dULL;
	s->v2 = k0 ^ 0x6c7967656e657261ULL;
	s->v3 = k1 ^ 0x7465646279746573ULL;
	siphash_half_round(s);
}

/* SipHash-c-d of one word, from siphash_start()'s state. */
static __always_inline __u64 siphash_finish(struct siphash s, __u64 word, const int c, const int d)
{
	s.v3 ^= word;
	siphash_other_half(&s);
	siphash_rounds(&s, c - 1);
	s.v0 ^= word;
	s.v2 ^= 0xff;
	siphash_rounds(&s, d);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static __always_inline __u64 siphash_of_word(const __u64 key[2], __u64 word, const int c, const int d)
{
	struct siphash s;

	siphash_start(&s, key);
	return siphash_finish(s, word, c, d);
}

#endif
